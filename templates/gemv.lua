-- gemv.lua - both expert GEMMs for one or a few rows an expert: matrix times vector, any dtype.
--
-- Parameters: warps of a block; columns of the result that a warp makes; unroll, the 16-byte chunks
-- of each weight row that a lane has under way; split, the blocks that share a tile, each with a
-- part of K.

local gemm = moe.use("gemm.lua")
local loads = moe.use("loads.lua")
local split = moe.use("split.lua")

local ROWS = 8 -- that a block serves

-- Numbers that follow from op and config.
local function shape(p, c)
    local s = gemm.sides(p)
    s.out_n = c.warps * c.columns
    s.n_blocks = moe.ceil_div(s.width, s.out_n)
    s.weights = c.columns * s.halves -- rows of weights that a warp reads
    s.steps = moe.ceil_div(s.depth * p.wbytes, 16 * 32) -- of a chunk a lane
    s.share = moe.ceil_div(s.steps, c.split) -- of a block
    s.sums = ROWS * s.out_n * s.halves
    s.registers = s.weights * (ROWS + 4 * c.unroll) + 64
    return s
end

local function require_(p, c, d)
    local s = shape(p, c)
    if s.registers > 192 then return false, "too many registers" end
    if c.split > s.steps then return false, "a share of K is too short" end
    if c.unroll > 1 and 16 * c.unroll * 32 * c.split >= 2 * s.depth * p.wbytes then
        return false, "unroll is beyond K"
    end
    if c.columns > 1 and s.out_n >= 2 * s.width then
        return false, "columns are beyond the result"
    end
    return true
end

-- A ranking estimate: DRAM at the bytes that are under way, and issue: a chunk of
-- weights is unpacked once and multiplied for every row, whose chunk is read from L1.
local function cost(p, c, d, b)
    local s = shape(p, c)
    local w = loads.work(p, ROWS, 1 << 20)
    local flops, bytes = gemm.moved(p, s, w)

    local per = 16 // p.wbytes
    local chunks = w.tiles * s.width * s.halves * s.depth / per / 32 -- of a warp's lanes together
    local live = w.rows / w.tiles
    local issue = chunks * (4 + per + live * (per + (4 + per) / s.weights)) / (d.sms * 4 * 0.7)
    local blocks = w.tiles * s.n_blocks * c.split
    local each = b and b.blocks[1] or moe.occupancy(d, 32 * c.warps, s.registers, 0)
    local resident = split.resident(p, c, d, each)
    local rounds = math.ceil(blocks / resident)
    local turns = moe.ceil_div(s.share, c.unroll)
    local clocks = 2400 + issue + rounds * (600 + 0.8 * d.clock * turns)

    local warps = math.min(blocks, resident) * c.warps
    local flying = warps * s.weights * math.min(c.unroll * 512, s.depth * p.wbytes / c.split)
    local ns = loads.soft_max(clocks * 1000 / d.clock, loads.stream(d, bytes, flying))
    return {flops = flops, bytes = bytes, ns = ns + split.meeting(p, c, d, blocks, s.sums)}
end

-- {warps, columns, unroll}: the best by cost, with any split, is the default. The last is legal
-- everywhere, without one.
local candidates = {{4, 1, 4}, {4, 2, 2}, {4, 2, 4}, {8, 1, 4}, {4, 1, 2}, {4, 1, 1}}

local function default(p, d)
    return loads.best(0.98, function(try)
        for _, shares in ipairs(split.values) do
            for _, from in ipairs(candidates) do
                try{warps = from[1], columns = from[2], unroll = from[3], split = shares}
            end
        end
    end, function(c) return require_(p, c, d) and cost(p, c, d).ns end)
end

return moe.template{
    name = "gemv",
    op = {"gemm_up", "gemm_down"},
    arch = {80, 120},
    params = {
        {"warps", {1, 2, 4, 8}},
        {"columns", {1, 2, 4}},
        {"unroll", {1, 2, 4, 8}},
        {"split", split.values},
    },
    require = require_,
    default = default,
    launch = function(p, c, d)
        local s = shape(p, c)
        return split.launch(p, c, d, {grid = {"row_tiles", ROWS, s.n_blocks * c.split},
                                      block = 32 * c.warps, overlap = d.sm >= 90}, s.sums)
    end,
    cost = cost,
    lib = {split = split},
}
