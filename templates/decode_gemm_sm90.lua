-- decode_gemm_sm90.lua - both expert GEMMs for few rows an expert, on sm_90a: weights stream once.
-- As down_combine the last block to finish something of a token sums its rows (see arrivals.cuh).
--
-- Parameters: n rows of x or h and `rows` rows of weights a tile; stages of the ring, 64 elements
-- of K each; blocks an SM; split, the blocks that share a tile, each with a part of K.

local gemm = moe.use("gemm.lua")
local loads = moe.use("loads.lua")
local split = moe.use("split.lua")
local weights_box = moe.use("weights_box.lua")

local BK, THREADS = 64, 192

-- Numbers that follow from op and config. `box`: columns of one weight copy. A 64-row product that
-- has gate and up rows takes them eight by eight.
local function shape(p, c)
    local s = gemm.sides(p)
    s.out_n = c.rows // s.halves
    s.box = s.halves == 1 and c.rows or c.rows == 64 and 8 or 64
    s.n_blocks = moe.ceil_div(s.width, s.out_n)
    s.k_tiles = moe.ceil_div(s.depth, BK)
    s.share = moe.ceil_div(s.k_tiles, c.split) -- of an item
    s.stage = (c.rows * p.wbytes + c.n * p.xbytes) * BK
    local notes = s.summed and 2 * c.n or 0 -- slots of a tile, counters that are full
    s.tables = moe.align((3 * p.listed + 1 + notes) * 4, 128)
    s.smem = c.stages * s.stage + s.tables + c.stages * 16 + 1024 -- and room to align the ring
    return s
end

local function require_(p, c, d)
    local s = shape(p, c)
    if moe.occupancy(d, THREADS, 0, s.smem) < c.blocks then
        return false, "more shared memory than an SM has"
    end
    if s.summed and c.rows * c.n * c.blocks > 64 * 128 then
        return false, "so many sums a thread would spill"
    end
    if c.rows > 64 and s.out_n >= 2 * s.width then return false, "rows is beyond the result" end
    if c.split > 1 and s.k_tiles < 2 * c.split then return false, "a share of K is too short" end
    if split.meets(p, c) and c.stages > math.max(2, s.share) then
        return false, "more stages than a share has K tiles"
    end
    if s.summed and s.n_blocks > 1024 then
        return false, "more column blocks than there are flags"
    end
    return true
end

-- A ranking estimate: DRAM at the bytes that are under way, and the busiest SM's own work: a K tile
-- passes through shared memory once and is read once, at most 64 bytes a clock come in, and no ring
-- is faster than its bytes in the 800 ns that one copy takes.
local function cost(p, c, d)
    local s = shape(p, c)
    local w = loads.work(p, c.n, 1 << 20)
    local flops, bytes = gemm.moved(p, s, w)

    local latency = 0.8 * d.clock -- clocks
    local step = loads.soft_max(s.stage / 64, 120) + c.rows // 64 * math.max(16, c.n / 4) * 4 / 4
    local items = w.tiles * s.n_blocks * c.split
    local resident = split.resident(p, c, d, c.blocks)
    local rounds = math.ceil(items / resident)
    local busy = math.min(c.blocks, math.ceil(items / d.sms)) -- blocks of an SM
    local store = s.summed and 1500 or 100 -- with the arrival, and at times a sum
    local own = rounds * busy * (s.share * loads.soft_max(step, latency / (c.stages * busy)) +
                                 store + c.n * 4)
    -- A persistent block fills its ring once, blocks of one item do so behind one another.
    local fills = split.meets(p, c) and rounds or 1
    local clocks = fills * (2600 + latency) + own
    local parts = s.summed and 2 * w.rows * s.width * 4 * c.split or 0 -- written and read, in L2
    local l2 = (items * s.share * s.stage + parts) / (d.sms * loads.l2_rate(d))

    local flying = math.min(items, resident) * c.rows * BK * p.wbytes * math.min(c.stages, s.share)
    local ns = loads.soft_max(clocks * 1000 / d.clock, l2 * 1000 / d.clock,
                              loads.stream(d, bytes, flying))
    local last = s.summed and 1700 or 0 -- its arrival and its sum, which nothing hides
    local met = split.meeting(p, c, d, items, c.rows * c.n)
    return {flops = flops, bytes = bytes, ns = ns + last + met}
end

-- The best by cost of all n, rows and splits, with as many stages as fit.
local function default(p, d)
    local function deepest(try, n, rows, blocks, shares)
        for _, stages in ipairs{24, 16, 12, 8, 6, 4, 3, 2} do
            if try{n = n, rows = rows, stages = stages, blocks = blocks, split = shares} then
                return
            end
        end
    end
    return loads.best(0.98, function(try)
        for _, shares in ipairs(split.values) do
            for _, n in ipairs{8, 16, 32, 64} do
                for _, rows in ipairs{128, 64} do
                    for blocks = 1, p.kind ~= "down_combine" and shares > 1 and 2 or 1 do
                        deepest(try, n, rows, blocks, shares)
                    end
                end
            end
        end
    end, function(c) return require_(p, c, d) and cost(p, c, d).ns end)
end

return moe.template{
    name = "decode_gemm_sm90",
    op = {"gemm_up", "gemm_down", "down_combine"},
    arch = {90, 90},
    params = {
        {"n", {8, 16, 32, 64}},
        {"rows", {64, 128}},
        {"stages", {2, 3, 4, 6, 8, 12, 16, 24}},
        {"blocks", {1, 2}},
        {"split", split.values},
    },
    supports = function(p, d)
        if p.x == "f32" then return false, "wgmma has no fp32 inputs" end
        if p.drop ~= "plain" then return false, "it leaves weights as they are" end
        if p.kind == "down_combine" and p.shared_experts > 0 then
            return false, "its sums have no rows of shared experts"
        end
        return d.arch == "sm_90a", "its instructions need the target sm_90a"
    end,
    require = require_,
    default = default,
    launch = function(p, c, d)
        local s = shape(p, c)
        local maps
        if s.up then
            maps = weights_box.up(p, BK, s.box)
        else
            maps = weights_box.down(p, BK, s.box)
            maps[#maps + 1] = {"h", {BK, c.n}, 128}
        end
        local grid = split.meets(p, c) and {"row_tiles", c.n, s.n_blocks * c.split}
            or {"sms", c.blocks}
        local out = split.launch(p, c, d, {grid = grid, block = THREADS, smem = s.smem,
                                           overlap = true}, c.rows * c.n)
        out.maps = maps
        if s.summed then out.scratch = {token = c.split * p.k * p.d * 4} end
        return out
    end,
    cost = cost,
    lib = {
        shape = shape,
        split = split,
        columns = function(p, c) return {c.n} end,
    },
}
