-- paced.lua - every step of a layer without a router, by one thread, right for f32 and relu:
-- kernels of which a scripted device says how long they take. Configs of an op differ in their
-- number alone, which is also how many times 64 KiB of scratch they ask for.

return moe.template {
    name = "paced",
    op = { "permute", "gemm_up", "gemm_down", "combine" },
    arch = { 80, 120 },
    params = function(p)
        local numbers = {}
        for i = 0, p.kind == "combine" and p.d > 8 and 19 or 2 do numbers[i + 1] = i end
        return { { "n", numbers } }
    end,
    supports = function(p) return p.kind == "permute" or p.x == "f32", "only f32" end,
    default = function() return { n = 1 } end,
    launch = function(p, c)
        return { kernels = { { grid = { "fixed", 1 }, block = 1 } },
                 scratch = { fixed = 65536 * c.n } }
    end,
    cost = function(p, c) return { flops = 0, bytes = 1, ns = 1000 + c.n } end,
}
