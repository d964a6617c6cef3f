-- route_sm90.lua - the router for sm_90a: bulk copies and wgmma, then top-k, weights and sums.
--
--   bt       tokens of a tile, which has all experts
--   bk       elements of K in a stage
--   stages   of the ring of copies
--   wgs      warpgroups that multiply; one more copies, and all select
--   tall     which operand is taken by 64 rows: 0 the experts, so that tiles may have few tokens or
--            all of 1024 experts; 1 the tokens, so that few experts are not filled up to 64
--   cluster  blocks of a cluster
--   split    what these share: 0 the copies of weights for tiles of their own; 1 a tile, of which
--            each makes the sums of a part of K
--   blocks   of an SM

local loads = moe.use("loads.lua")
local router = moe.use("route.lua")

-- Experts, more of which leave no room for two stages, of weights of 2 and of 4 bytes.
local MOST_EXPERTS = {[2] = 1024, [4] = 768}
local MOST_SUMS = 128     -- of a thread; more leave too few registers for what else it has

-- Clocks, round figures: of a block before its first product, behind others on its SM; until all
-- blocks of a cluster have met; to read and cut a lane's part of f32 weights. Bytes a clock that a
-- block reads of others' shared memory, which is below what microbenchmarks of pairs and of fours
-- have reached.
local NEXT, MEET, CUT, REMOTE_RATE = 1500, 700, 100, 12

-- Numbers that follow from op and config. The warpgroups share the tall operand, or where its
-- blocks of 64 rows are uneven, the wide one. exact: f32 weights, which come from registers in
-- three parts; these leave fewer registers for others than those who multiply and copy.
local function shape(p, c)
    local s = {}
    s.exact = p.router_w ~= p.x
    s.threads = 128 * (1 + c.wgs)
    s.tall_blocks = c.tall == 1 and c.bt // 64 or moe.ceil_div(p.e, 64)
    s.share_tall = s.tall_blocks % c.wgs == 0
    s.m_blocks = s.share_tall and s.tall_blocks // c.wgs or s.tall_blocks
    local shares = s.share_tall and 1 or c.wgs -- of the wide operand
    s.experts = c.tall == 1 and moe.align(p.e, 8 * shares) or s.tall_blocks * 64 -- of a tile
    s.n = (c.tall == 1 and s.experts or c.bt) // shares
    s.sums = s.m_blocks * s.n // 2
    s.row = c.bk * p.xbytes
    s.k_tiles = moe.ceil_div(p.d, c.bk)
    s.slice = math.min(c.bk, 128 // p.router_wbytes) -- weights of a swizzled row
    s.weights = s.experts * c.bk * p.router_wbytes
    s.stage = moe.align(s.weights + c.bt * s.row, 1024) -- of swizzled rows, eight by eight
    s.part = s.experts // (c.split == 0 and c.cluster or 1) -- experts that a block fetches
    s.own = c.bt // (c.split == 1 and c.cluster or 1)       -- tokens that a block selects for
    s.pitch = c.tall == 1 and moe.align(p.e, 32) + 8 or moe.align(p.e, 16) + 4
    s.tables = math.max(c.stages * s.stage, moe.align(c.bt * s.pitch * 4, 128))
    s.smem = s.tables + c.stages * 16 + s.own * 8 + p.e * 4
    return s
end

-- Experts of a copy: as many as a box can have, in whole eights, and all copies alike.
local function box(part)
    local copies = moe.ceil_div(part, 256)
    while part % (copies * 8) ~= 0 do copies = copies + 1 end
    return part // copies
end

-- The form of a product, and whether its sums leave enough registers.
local function require_products(c, s, d)
    if s.n > 256 or s.n % 8 ~= 0 then return false, "a product has 8 to 256 columns" end
    -- Exact sums are there twice, of a stage and of all, beside parts of weights for two products.
    local registers = s.exact and 2 * s.sums + 48 or s.sums + 40
    if s.sums > MOST_SUMS or moe.occupancy(d, s.threads, registers, 0) < c.blocks then
        return false, "so many sums a thread would spill"
    end
    return true
end

local function require_cluster(p, c, s, d)
    if c.cluster == 1 then
        return c.split == 0, "one block has nobody to share K with"
    end
    if c.split == 0 and (c.cluster > 4 or s.part % 8 ~= 0) then
        return false, "up to four blocks share weights, by whole 8 experts"
    end
    -- Clusters lie within one of at most eight groups of SMs: of more than 120, some group has 16.
    if c.cluster > 8 and d.sms <= 8 * 15 then return false, "no group of SMs may have so many" end
    if c.split == 1 and (c.bt % c.cluster ~= 0 or s.k_tiles < c.cluster) then
        return false, "more blocks than tokens or K tiles"
    end
    return true
end

local function require_(p, c, d)
    if c.tall == 1 and c.bt % 64 ~= 0 then return false, "tokens are tall by whole 64" end
    local s = shape(p, c)
    if c.tall == 1 and s.exact then return false, "f32 weights are what comes from registers" end
    local good, reason = require_products(c, s, d)
    if good then good, reason = require_cluster(p, c, s, d) end
    if not good then return false, reason end
    if moe.occupancy(d, s.threads, 0, s.smem) < c.blocks then
        return false, "more shared memory than there is"
    end
    if c.stages > 2 and c.stages > s.k_tiles + 1 then return false, "more stages than K tiles" end
    return true
end

-- Clocks of a tile behind its last product: sums into shared memory, parts of other blocks, and
-- choices of the block's warps, one token each.
local function behind(p, c, s, d)
    local store = loads.hopper.drain + s.sums * 4 * c.wgs
    local add = c.split == 1 and 2 * MEET + s.own * p.e * 4 * (c.cluster - 1) / REMOTE_RATE or 0
    local rounds = moe.ceil_div(math.min(s.own, p.t), s.threads // 32)
    return store + add + rounds * router.choice(p)
end

-- Clocks of a stage: the longest of its tensor time, of its passage through shared memory (written
-- once, both operands read by every product) and of its way in. Of f32 weights there are three
-- products, and pairs of weights, read by lanes of which two meet in a bank, take 13 instructions
-- to cut; a warpgroup's own chain goes from 16 columns to the next.
local function stage(p, c, s, d)
    local hopper = loads.hopper
    local tensor = 2 * s.experts * c.bt * c.bk / (d.tensor_rate * hopper.tensor_share)
    local products = c.wgs * s.m_blocks
    if not s.exact then
        local reads = products * (64 + s.n) * s.row
        return loads.soft_max(tensor, (s.stage + reads) / 128, s.stage / 64)
    end
    local weights = products * 64 * c.bk
    local reads = weights * p.router_wbytes * 2 + 3 * products * s.n * s.row
    local cut = weights / 2 / 32 * 13 / 4
    local chain = c.bk / 16 * s.m_blocks * loads.soft_max(3 * tensor * 16 / c.bk / products, CUT)
    return loads.soft_max(3 * tensor, (s.stage + reads) / 128, s.stage / 64, cut, chain)
end

-- A ranking estimate: the slowest of DRAM, L2 and the busiest SM's own work. Blocks of an SM
-- overlap, one's choices with another's products.
local function cost(p, c, d, b)
    local s, hopper = shape(p, c), loads.hopper
    local flops = 2 * p.t * p.d * p.e
    local bytes = (p.t * p.xbytes + p.e * p.router_wbytes) * p.d + p.t * p.k * 8

    local step = stage(p, c, s, d) + hopper.step
    local k_tiles = s.k_tiles / (c.split == 1 and c.cluster or 1)
    local alone = k_tiles * loads.turn(step, s.stage, c.stages) + behind(p, c, s, d)

    local tiles = moe.ceil_div(p.t, c.bt)
    local all = c.split == 1 and tiles * c.cluster or moe.align(tiles, c.cluster)
    local resident = b and b.blocks[1] or c.blocks
    local sms = d.sms // c.cluster * c.cluster
    local waves = moe.ceil_div(all, sms * resident)
    local sharing = math.min(resident, moe.ceil_div(all, sms)) -- blocks at work on an SM
    local choosing = math.min(s.own, p.t) * router.choice(p) / 12 -- slots of four schedulers
    local wave = loads.soft_max(sharing * k_tiles * step, alone, sharing * choosing)
    local clocks = hopper.start + loads.arrival(s.stage) + waves * wave + (waves - 1) * NEXT

    local fetched = s.part * c.bk * p.router_wbytes + c.bt * s.row
    local l2 = waves * sharing * k_tiles * fetched / hopper.l2_rate
    local live = math.min(c.split == 1 and all or tiles, sms * sharing) -- have tokens
    local each = s.part * c.bk * p.router_wbytes + math.min(c.bt, p.t) * s.row
    local flying = live * each * (c.stages - 1)
    local ns = loads.soft_max(clocks * 1000 / d.clock, l2 * 1000 / d.clock,
                              loads.stream(d, bytes, flying))
    return {flops = flops, bytes = bytes, ns = ns}
end

-- The best by cost of these, with as many stages as fit.
local shapes = { -- {tall, bt, wgs}
    {1, 128, 2}, {1, 64, 2}, {1, 64, 1}, {1, 128, 1}, {1, 192, 2}, {1, 256, 2},
    {0, 96, 2}, {0, 64, 2}, {0, 64, 1}, {0, 32, 2}, {0, 32, 1}, {0, 16, 2}, {0, 16, 1},
    {0, 8, 2}, {0, 8, 1}, {0, 128, 2}, {0, 192, 2},
}
local clusters = {{1, 0}, {2, 0}, {4, 0}, {2, 1}, {4, 1}, {8, 1}, {16, 1}} -- {cluster, split}

local function default(p, d)
    local function deepest(try, shape, cluster, blocks, bk)
        for _, stages in ipairs{8, 6, 5, 4, 3, 2} do
            if try{tall = shape[1], bt = shape[2], wgs = shape[3], cluster = cluster[1],
                   split = cluster[2], blocks = blocks, bk = bk, stages = stages} then return end
        end
    end
    return loads.best(0.99, function(try)
        for _, shape in ipairs(shapes) do
            for _, cluster in ipairs(clusters) do
                for blocks = 1, 4 do
                    for bk = 64, 32, -32 do deepest(try, shape, cluster, blocks, bk) end
                end
            end
        end
    end, function(c) return require_(p, c, d) and cost(p, c, d).ns end)
end

return moe.template{
    name = "route_sm90",
    op = {"route"},
    arch = {90, 90},
    params = {
        {"bt", {8, 16, 32, 64, 96, 128, 192, 256}},
        {"bk", {32, 64}},
        {"stages", {2, 3, 4, 5, 6, 8}},
        {"wgs", {1, 2}},
        {"tall", {0, 1}},
        {"cluster", {1, 2, 4, 8, 16}},
        {"split", {0, 1}},
        {"blocks", {1, 2, 3, 4}},
    },
    supports = function(p, d)
        if d.arch ~= "sm_90a" then return false, "its instructions need the target sm_90a" end
        if p.x == "f32" then return false, "wgmma has no fp32 inputs" end
        if p.router_w ~= p.x and p.x ~= "bf16" then
            return false, "three f16 numbers do not make an f32 weight, as three bf16 ones do"
        end
        local most = MOST_EXPERTS[p.router_wbytes]
        if p.e > most then return false, "a tile holds at most " .. most .. " experts" end
        local plain, reason = router.plain(p)
        if not plain then return false, reason end
        return router.supports(p)
    end,
    require = require_,
    default = default,
    launch = function(p, c, d)
        local s = shape(p, c)
        local grid = c.split == 1 and {"tokens", c.bt, c.cluster}
            or {"tokens", c.bt * c.cluster, c.cluster}
        return {
            kernels = {{grid = grid, block = s.threads, smem = s.smem, cluster = c.cluster,
                        overlap = true}},
            maps = {{"router_weight", {s.slice, box(s.part)}, s.slice * p.router_wbytes},
                    {"x", {c.bk, c.bt}, s.row}},
        }
    end,
    cost = cost,
    lib = {
        shape = shape,
        box = box,
        columns = function(p, c) return {shape(p, c).n} end,
    },
}
