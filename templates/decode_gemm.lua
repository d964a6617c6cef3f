-- decode_gemm.lua - both expert GEMMs for few rows an expert, on sm_80 and up: weights stream once.
-- As down_combine the last block to finish something of a token sums its rows (see arrivals.cuh).
--
-- Parameters: n rows of x or h and `rows` rows of weights a block; warps, which share K; stages of
-- each warp's ring, 64 elements of K each; split, the blocks that share a tile, each with a part of
-- K.

local gemm = moe.use("gemm.lua")
local loads = moe.use("loads.lua")
local split = moe.use("split.lua")

local BK = 64

-- Registers a thread needs, as seen in ptxas' reports over the space, rounded up.
local function registers(p, c, s)
    local gather = s.up and c.n // 4 or 2
    return c.rows * c.n // 32 + c.n // 2 + gather + 5 * c.rows // 4 + 34
end

-- Numbers that follow from op and config. The .cu uses `halves` and `body`, the bytes of the rings
-- or of the sums that take their place.
local function shape(p, c, d)
    local s = gemm.sides(p)
    s.out_n = c.rows // s.halves
    s.n_blocks = moe.ceil_div(s.width, s.out_n)
    s.k_tiles = moe.ceil_div(s.depth, BK)
    s.share = moe.ceil_div(s.k_tiles, c.split) -- of a block
    s.threads = 32 * c.warps
    s.stage = (c.rows * p.wbytes + c.n * p.xbytes) * BK
    s.body = c.warps * math.max(c.stages * s.stage, c.rows * c.n * 4)
    s.smem = s.body + 32 + (s.summed and 2 * c.n * 4 or 0)
    s.registers = registers(p, c, s)
    s.blocks = moe.occupancy(d, s.threads, s.registers, s.smem)
    return s
end

local function require_(p, c, d)
    local s = shape(p, c, d)
    if s.smem > d.smem then return false, "more shared memory than a block can have" end
    if c.rows * c.n > 64 * 32 then return false, "more than 64 sums a thread" end
    if c.warps * c.split > math.max(1, s.k_tiles) then return false, "more warps than K tiles" end
    if c.stages > 2 and (c.stages - 1) * c.warps >= s.share + c.warps then
        return false, "more stages than a warp has K tiles"
    end
    if c.rows > 16 and s.out_n >= 2 * s.width then return false, "rows is beyond the result" end
    if s.summed and s.n_blocks > 1024 then
        return false, "more column blocks than there are flags"
    end
    return true
end

-- A ranking estimate: DRAM at the bytes that are under way, L2, and the blocks' own work: a warp's
-- K tile costs its instructions, and no less than its share of a copy's latency.
local function cost(p, c, d, b)
    local s = shape(p, c, d)
    if b then s.blocks = b.blocks[1] end
    local resident = split.resident(p, c, d, s.blocks)
    local w = loads.work(p, c.n, 1 << 20)
    local flops, bytes = gemm.moved(p, s, w)

    local latency = 0.8 * d.clock -- clocks
    local issue = (c.rows + c.n) / 4 * 6 + c.rows // 16 * (8 + c.n // 8 * 8) + c.n // 8 * 4 + 30
    local turns = moe.ceil_div(s.share, c.warps)
    local store = s.summed and 1500 or 0 -- with the arrival, and at times a sum
    local edges = 2400 + store + c.rows * c.n // s.threads * (4 + 2 * c.warps)
    local alone = edges + turns * loads.soft_max(issue, latency / (c.stages - 1))
    local shared = turns * c.warps * issue / 4 + edges / s.blocks -- of a block among s.blocks
    local blocks = w.tiles * s.n_blocks * c.split
    local rounds = math.ceil(blocks / resident)
    local busy = math.min(s.blocks, math.ceil(blocks / d.sms))
    local clocks = rounds * loads.soft_max(alone, busy * shared)
    local parts = s.summed and 2 * w.rows * s.width * 4 * c.split or 0 -- written and read, in L2
    local l2 = (blocks * s.share * s.stage + parts) / (d.sms * loads.l2_rate(d))

    local warps = math.min(blocks, resident) * math.min(c.warps, s.share)
    local flying = warps * c.rows * BK * p.wbytes * (c.stages - 1)
    local ns = loads.soft_max(clocks * 1000 / d.clock, l2 * 1000 / d.clock,
                              loads.stream(d, bytes, flying))
    local last = s.summed and 1700 or 0 -- its arrival and its sum, which nothing hides
    local met = split.meeting(p, c, d, blocks, c.rows * c.n)
    return {flops = flops, bytes = bytes, ns = ns + last + met}
end

-- {n, rows, warps, stages}: the best by cost, with any split, is the default. The last is legal
-- everywhere, without one.
local candidates = {
    {8, 32, 4, 4}, {8, 32, 8, 3}, {8, 64, 4, 3}, {16, 32, 4, 4}, {16, 64, 4, 3}, {32, 32, 4, 3},
    {32, 64, 4, 3}, {64, 32, 4, 3}, {8, 16, 1, 2},
}

local function default(p, d)
    return loads.best(0.98, function(try)
        for _, shares in ipairs(split.values) do
            for _, from in ipairs(candidates) do
                try{n = from[1], rows = from[2], warps = from[3], stages = from[4], split = shares}
            end
        end
    end, function(c) return require_(p, c, d) and cost(p, c, d).ns end)
end

return moe.template{
    name = "decode_gemm",
    op = {"gemm_up", "gemm_down", "down_combine"},
    arch = {80, 120},
    params = {
        {"n", {8, 16, 32, 64}},
        {"rows", {16, 32, 64}},
        {"warps", {1, 2, 4, 8}},
        {"stages", {2, 3, 4, 6, 8}},
        {"split", split.values},
    },
    supports = function(p, d)
        if p.x == "f32" then return false, "mma.sync takes 16-bit inputs here; gemv serves f32" end
        if p.drop ~= "plain" then return false, "it leaves weights as they are" end
        return not (p.kind == "down_combine" and p.shared_experts > 0),
               "its sums have no rows of shared experts"
    end,
    require = require_,
    default = default,
    launch = function(p, c, d)
        local s = shape(p, c, d)
        local out = split.launch(p, c, d, {grid = {"row_tiles", c.n, s.n_blocks * c.split},
                                           block = s.threads, smem = s.smem,
                                           overlap = d.sm >= 90}, c.rows * c.n)
        if s.summed then out.scratch = {token = c.split * p.k * p.d * 4} end
        return out
    end,
    cost = cost,
    lib = {shape = shape, split = split},
}
