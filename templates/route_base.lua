-- route_base.lua - a balanced assignment of tokens to experts, by an auction on the device.
--
--   bt, be, bk, stages, warps, split  of the router's GEMM, as in `route`
--   blocks   that hold the auction, one an SM at most
--   bidders  threads of such a block
--   keep     tokens whose values to an expert stay in shared memory while it bids; further ones are
--            computed anew, four times a round

local router = moe.use("route.lua")

-- Integers in front of the bids: counters, ranges of the blocks, owned tokens; an even number.
local function head(p, c) return moe.align(2 + 2 * c.blocks + p.e, 2) end

-- Predicted ns of the auction: rounds of two barriers, 1 us each, and of what an expert reads of
-- its tokens, five times. Rounds: about 100 for many tokens, fewer for few.
local function auction(p, c, d)
    local rounds = math.min(100, 20 + p.t // math.max(1, p.e))
    local turns = moe.ceil_div(p.e, c.blocks)
    local sweeps = moe.ceil_div(p.t, c.bidders) * (c.keep >= p.t and 60 or 200) * 5 + 3000
    return 4000 + rounds * (2000 + turns * sweeps / (d.clock / 1000))
end

local function legal(p, c, d)
    if c.blocks > d.sms then return false, "blocks that wait for each other must run at once" end
    if c.blocks > c.bidders then return false, "a thread reads the range of each block" end
    if c.keep * 4 + 16384 > d.smem then return false, "values do not fit shared memory" end
    return router.legal(p, c, d)
end

return moe.template {
    name = "route_base",
    op = { "route" },
    arch = { 80, 120 },
    params = router.with(router.whole.params, {
        { "blocks", { 16, 32, 64, 128 } },
        { "bidders", { 128, 256, 512 } },
        { "keep", { 1024, 8192 } },
    }),
    supports = function(p, d)
        return p.router_rule == "base", "it has no rule but base"
    end,
    require = legal,

    default = function(p, d)
        local best = router.whole.best(p, d)
        best.blocks = 64
        while best.blocks > 16 and (best.blocks > d.sms or best.blocks >= 2 * p.e) do
            best.blocks = best.blocks // 2
        end
        best.bidders = p.t >= 2048 and 512 or p.t >= 512 and 256 or 128
        best.keep = p.t > 1024 and 8192 or 1024
        return best
    end,

    launch = function(p, c, d)
        local overlap = d.sm >= 90
        return {
            kernels = {
                router.whole.kernel(p, c, d),
                { name = "auction", grid = { "fixed", c.blocks }, block = c.bidders,
                  smem = c.keep * 4, overlap = overlap, cooperative = true },
            },
            align = 1, deterministic = true,
            scratch = { fixed = head(p, c) * 4, token = p.e * 4 + 16, block = 0 },
        }
    end,

    cost = function(p, c, d)
        return {
            flops = 2 * p.t * p.d * p.e,
            bytes = (p.t + p.e) * p.d * p.xbytes + p.t * 8,
            ns = router.first_kernel(p, c, d) + auction(p, c, d),
        }
    end,
    lib = { head = head },
}
