-- faulty_sums.lua - gemm_down and combine by one thread, right for f32, and wrong in each way that
-- the judge of the fused op has to see.
--
--   fault  0 right, 1 adds to what y held, 2 dropped slots count, 3 no weights, 4 right, but not in
--          the same order every time, 5 flags taken to be as the run before left them

return moe.template {
    name = "faulty_sums",
    op = { "down_combine" },
    arch = { 80, 120 },
    params = { { "fault", { 0, 1, 2, 3, 4, 5 } } },
    supports = function(p) return p.x == "f32", "only f32" end,
    default = function() return { fault = 0 } end,
    launch = function(p, c)
        return { kernels = { { grid = { "fixed", 1 }, block = 1 } }, deterministic = c.fault ~= 4,
                 scratch = { fixed = 64 } }
    end,
    cost = function(p, c) return { flops = 0, bytes = p.t * p.d * 4, ns = 1000 + c.fault } end,
}
