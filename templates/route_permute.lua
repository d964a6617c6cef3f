-- route_permute.lua - router and index maps in two kernels.
--
--   bt be bk stages warps split   of the router, as in route.lua
--   blocks       1: few tokens, one block makes the maps. n: most blocks that share the tokens;
--                each block of the second kernel reads what all have counted
--   map_threads  of a block of the second kernel
--   items        slots of a thread that are ranked together

local loads = moe.use("loads.lua")
local router = moe.use("route.lua")
local maps = moe.use("permute.lua")

local MAP_BLOCKS = 128 -- about as many has the second kernel where blocks > 1

-- Groups of shares; the second kernel has a block for each choice of each group.
local function groups(p) return math.max(1, MAP_BLOCKS // p.k) end

-- Bytes of shared memory of the second kernel. Selecting: a row of logits a warp and one of counts,
-- and each token's scale.
local function maps_bytes(p, c)
    local warps = c.map_threads // 32
    local select = c.split > 0 and (warps + 1) * p.e * 4 + warps * 8 or 0
    return math.max(maps.shared_bytes(p, c.map_threads), select)
end

local function legal(p, c, d)
    if c.blocks > 1 and c.split > 0 then
        return false, "split is for few tokens"
    end
    if c.split > 0 and
       (c.map_threads > 512 and p.e > 512 or c.map_threads > 256 and p.e > 1536) then
        return false, "the selecting warps take too many registers"
    end
    if c.map_threads * c.items > 4096 then
        return false, "too many slots a round for the registers"
    end
    if c.blocks > 1 and c.map_threads > 512 then
        return false, "many blocks need no wide ones"
    end
    if c.blocks > 1 and c.warps > 8 and router.sums(p, c) > (p.e > 128 and 32 or 64) then
        return false, "too many sums a thread"
    end
    if maps_bytes(p, c) > d.smem then
        return false, "the warps' tables do not fit shared memory"
    end
    return router.legal(p, c, d)
end

-- Words of 16-bit counts of a share, and the tokens of the largest share.
local function count_words(p) return p.k * moe.ceil_div(p.held, 2) end
local function most_tokens(p, c) return 65535 // p.k // c.bt * c.bt end

-- Predicted ns of counting and of the second kernel where blocks > 1. Counting: a share's ids come
-- back from L2, 700 cycles, and are added up at one a clock. The second: a launch; the counts of
-- all shares at 24 B a clock; ranks as in the template `permute`.
local function shared_maps(p, c, d)
    local clock = d.clock / 1000
    local live = math.max(1, math.min(c.blocks, moe.ceil_div(p.t, c.bt)))
    local share = moe.ceil_div(p.t * p.k, live)
    local tiles = moe.ceil_div(moe.ceil_div(p.t, math.min(live, groups(p))),
                               c.map_threads * c.items)
    local waves = moe.ceil_div(groups(p) * p.k, d.sms)
    local columns = moe.ceil_div(p.held, c.map_threads)
    local read = 800 + 2 * live * p.held * 2 / 24
    local rank = 500 + c.items * 110 + p.held // 32 * 8 + columns * (c.map_threads // 32) * 10
    local starts = moe.ceil_div(p.listed, 128) * 200
    return loads.launch(d) + (700 + share + count_words(p) // (c.warps * 32) * 8
        + waves * (read + starts + tiles * rank)) / clock
end

-- Predicted ns of everything. Blocks that select take 1 us to tell each other.
local function predict(p, c, d, b)
    local bytes = (p.t * p.k * 12 + p.e * 40) / d.bandwidth
    if c.blocks > 1 then
        return router.first_kernel(p, c, d, b, c.blocks) + shared_maps(p, c, d) + bytes
    end
    local warps = c.map_threads // 32
    local select = c.split > 0 and 1000 + router.selection(p, c, d, d.sms, warps) or 0
    return router.first_kernel(p, c, d, b) + loads.launch(d) + select
        + maps.alone(p, d, c.map_threads, c.items) + bytes
end

-- Calls try(blocks, map_threads, items) for common choices of the second kernel's parameters that
-- rank the slots of a block in as few rounds as they can.
local function common_maps(p, try)
    local function with(blocks, threads, slots)
        local items = 1
        while items < 8 and threads * items < math.min(slots, 4096) do items = items * 2 end
        try(blocks, threads, items)
    end
    for _, threads in ipairs { 128, 256, 512, 1024 } do with(1, threads, p.t * p.k) end
    for _, blocks in ipairs { 128, 256, 512 } do
        for _, threads in ipairs { 256, 512 } do
            with(blocks, threads, moe.ceil_div(p.t, groups(p)))
        end
    end
end

return moe.template {
    name = "route_permute",
    op = { "route_permute" },
    arch = { 80, 120 },
    supports = function(p, d)
        local good, reason = router.supports(p)
        if not good then return false, reason end
        return maps.by_order(p, d)
    end,
    params = router.with(router.params, {
        { "blocks", { 1, 64, 128, 256, 512 } },
        { "map_threads", { 128, 256, 512, 1024 } },
        { "items", { 1, 2, 4, 8 } },
    }),

    require = legal,

    -- The best by the prediction among common choices; the router's parameters first, then the
    -- maps' for each way that the kernels share their work.
    default = function(p, d)
        return loads.best(1, function(try)
            common_maps(p, function(blocks, threads, items)
                router.common(function(c)
                    c.blocks, c.map_threads, c.items = blocks, threads, items
                    try(c)
                end)
            end)
        end, function(c) return legal(p, c, d) and predict(p, c, d) end)
    end,

    launch = function(p, c, d)
        local overlap, many = d.sm >= 90, c.blocks > 1
        local words = many and count_words(p) or 0
        return {
            kernels = router.behind_jitter(p, d, {
                { name = "route", block = c.warps * 32, smem = router.shared_bytes(p, c),
                  grid = many and { "fixed", c.blocks } or { "tokens", c.bt, router.shares(p, c) },
                  overlap = overlap },
                { name = "maps", block = c.map_threads, smem = maps_bytes(p, c),
                  grid = c.split > 0 and { "tokens", c.map_threads // 32 }
                      or { "fixed", many and groups(p) * p.k or 1 },
                  overlap = overlap },
            }),
            align = 1, deterministic = true,
            scratch = { fixed = c.split > 0 and 4 or words * 4 * (c.blocks + 1), block = 0,
                        token = many and moe.ceil_div(words * 4, most_tokens(p, c))
                            or c.split * router.routers(p) * p.e * 4 },
        }
    end,

    cost = function(p, c, d, b)
        return {
            flops = 2 * p.t * p.d * p.e * router.routers(p),
            bytes = (p.t * p.xbytes + p.e * router.routers(p) * p.router_wbytes) * p.d +
                p.t * p.k * 20 + p.e * 40,
            ns = predict(p, c, d, b),
        }
    end,

    lib = { groups = groups },
}
