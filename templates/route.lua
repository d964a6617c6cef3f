-- route.lua - router GEMM, top-k, weights and load-balancing sums.
--
--   bt      tokens of a block
--   be      experts that a block multiplies at once
--   bk      elements of K in a stage; half as many for f32
--   stages  of the ring of copies
--   warps   of a block
--   split   0: one kernel. n: for few tokens; blocks share the tiles of experts and n slices of K,
--           and a second kernel selects

local loads = moe.use("loads.lua")
local router = moe.use("route.lua")

return moe.template {
    name = "route",
    op = { "route" },
    arch = { 80, 120 },
    params = router.params,
    supports = router.supports,
    require = router.legal,

    -- The best by the prediction among common choices.
    default = function(p, d)
        return loads.best(1, router.common, function(c)
            return router.legal(p, c, d) and router.predict(p, c, d)
        end)
    end,

    launch = function(p, c, d)
        local threads = c.warps * 32
        if c.split == 0 then
            local bytes = router.shared_bytes(p, c)
            return {
                kernels = router.behind_jitter(p, d, {
                    { grid = { "tokens", c.bt }, block = threads, smem = bytes,
                      overlap = d.sm >= 90 } }),
                align = 1, deterministic = true, scratch = { fixed = 0, token = 0, block = 0 },
            }
        end
        return {
            kernels = router.behind_jitter(p, d, {
                { name = "logits", grid = { "tokens", c.bt, router.shares(p, c) },
                  block = threads, smem = router.shared_bytes(p, c), overlap = d.sm >= 90 },
                { name = "select", grid = { "tokens", c.warps }, block = threads,
                  smem = router.select_bytes(p, c), overlap = d.sm >= 90 },
            }),
            align = 1, deterministic = true,
            scratch = { fixed = 0, token = c.split * router.routers(p) * p.e * 4, block = 0 },
        }
    end,

    cost = function(p, c, d, b)
        return {
            flops = 2 * p.t * p.d * p.e * router.routers(p),
            bytes = (p.t * p.xbytes + p.e * router.routers(p) * p.router_wbytes) * p.d +
                p.t * p.k * 8,
            ns = router.predict(p, c, d, b),
        }
    end,
}
