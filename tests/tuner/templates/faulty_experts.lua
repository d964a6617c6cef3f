-- faulty_experts.lua - all behind the router by one thread, right for f32 and relu, and wrong in
-- each way that the judge of the fused op has to see.
--
--   fault  0 right, 1 capacity ignored, 2 two slots in one row, 3 no counts, 4 mean_probs of
--          another token count, 5 wrong in a second run, 6 flags taken to be zero at the end, not
--          the start

return moe.template {
    name = "faulty_experts",
    op = { "experts" },
    arch = { 80, 120 },
    params = { { "fault", { 0, 1, 2, 3, 4, 5, 6 } } },
    supports = function(p) return p.x == "f32" and p.act == "relu", "only f32 and relu" end,
    default = function() return { fault = 0 } end,
    launch = function()
        return { kernels = { { grid = { "fixed", 1 }, block = 1 } }, scratch = { fixed = 64 } }
    end,
    cost = function(p, c) return { flops = 0, bytes = p.t * p.d * 4, ns = 1000 + c.fault } end,
}
