-- route_permute_choice.lua - experts that choose their tokens, with the index maps.
--
--   bt, be, bk, stages, warps, split  of the router's GEMM, as in `route`
--   choosers  threads of the block that chooses for an expert

local router, maps = moe.use("route.lua"), moe.use("permute.lua")

local MAP_THREADS = 256

-- Predicted ns of the choice: an expert's probabilities are read four times, 500 cycles a round of
-- the block at least, and of the maps: 12 bytes a slot written, 8 read, at half of the bandwidth.
local function choice(p, c, d)
    local rounds = moe.ceil_div(p.t, c.choosers)
    local turns = moe.ceil_div(p.e, d.sms * moe.occupancy(d, c.choosers, 64, 0))
    local slots = p.t * p.e * 20 / (0.5 * d.bandwidth)
    return 8000 + turns * 4 * (1000 + rounds * 120) / (d.clock / 1000) + slots
end

local function legal(p, c, d)
    if maps.shared_bytes(p, MAP_THREADS) > d.smem then
        return false, "the tables of experts do not fit shared memory"
    end
    return router.legal(p, c, d)
end

return moe.template {
    name = "route_permute_choice",
    op = { "route_permute" },
    arch = { 80, 120 },
    params = router.with(router.whole.params, {
        { "choosers", { 128, 256, 512, 1024 } },
    }),
    supports = function(p, d)
        return p.router_rule == "expert_choice", "it has no rule but expert_choice"
    end,
    require = legal,

    default = function(p, d)
        local best = router.whole.best(p, d)
        best.choosers = p.t >= 4096 and 1024 or p.t >= 1024 and 512 or 256
        return best
    end,

    launch = function(p, c, d)
        local overlap = d.sm >= 90
        return {
            kernels = {
                router.whole.kernel(p, c, d),
                { name = "choose", grid = { "fixed", p.e }, block = c.choosers, smem = 0,
                  overlap = overlap },
                { name = "maps", grid = { "tokens", 32 }, block = MAP_THREADS,
                  smem = maps.shared_bytes(p, MAP_THREADS), overlap = overlap },
            },
            align = 1, deterministic = true,
            scratch = { fixed = 0, token = p.e * 8, block = 0 },
        }
    end,

    cost = function(p, c, d)
        return {
            flops = 2 * p.t * p.d * p.e,
            bytes = (p.t + p.e) * p.d * p.xbytes + p.t * p.e * 12,
            ns = router.first_kernel(p, c, d) + choice(p, c, d),
        }
    end,
}
