-- faulty_router.lua - router and maps by one thread, right for f32, and wrong in each way that the
-- judge of the fused op has to see.
--
--   fault  0 right, 1 routes although it is given experts, 2 rows aligned to nothing, 3 two slots
--          in one row, 4 counts twice, 5 mean_probs not made

return moe.template {
    name = "faulty_router",
    op = { "route_permute" },
    arch = { 80, 120 },
    params = { { "fault", { 0, 1, 2, 3, 4, 5 } } },
    supports = function(p) return p.x == "f32", "only f32" end,
    default = function() return { fault = 0 } end,
    launch = function()
        return { kernels = { { grid = { "fixed", 1 }, block = 1 } } }
    end,
    cost = function(p, c) return { flops = 0, bytes = p.t * p.d * 4, ns = 1000 + c.fault } end,
}
