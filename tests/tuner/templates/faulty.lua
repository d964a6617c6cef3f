-- faulty.lua - a right combine for f32, and one wrong in each way that a candidate can be.
--
--   fault  0 right, 1 the template throws, 2 it never ends, 3 CUDA that does not compile, 4 wrong
--          numbers, 5 a write out of bounds, 6 too much shared memory, 7 part of y unwritten

return moe.template {
    name = "faulty",
    op = { "combine" },
    arch = { 80, 120 },
    params = { { "fault", { 0, 1, 2, 3, 4, 5, 6, 7 } } },
    supports = function(p) return p.x == "f32", "only f32" end,
    default = function() return { fault = 0 } end,
    launch = function()
        return { kernels = { { grid = { "tokens", 1 }, block = 32 } } }
    end,
    cost = function(p, c) return { flops = 0, bytes = p.t * p.d * 4, ns = 1000 + c.fault } end,
}
