-- grouped_gemm_sm90.lua - both expert GEMMs for sm_90a: bulk copies, mbarriers, wgmma.
--
-- A persistent block per SM: one producer warpgroup fills a ring in shared memory, one or two
-- consumer warpgroups multiply. Parameters: tile bm x bn (rows of x or h, rows of weights) by 64 of
-- K; stages of the ring; wgs, the consumers; pingpong, 1: consumers have tiles of their own, so that
-- one stores while the other multiplies, 0: they share the rows of a tile; cluster, 2: blocks with
-- neighbouring row tiles of an expert share what they fetch of its weights; group, the row tiles of a
-- stripe.

local loads = moe.use("loads.lua")

local BK = 64

-- Of the data sheet's tensor rate, what large library GEMMs reach on an H100 (798 of 949 TFLOP/s at
-- its clock); bytes a clock that L2 sends to each SM when neighbours ask for the same tiles, which
-- published 128 x 256 kernels without multicast need at 778 TFLOP/s (39), and a little more.
local TENSOR_SHARE, L2_RATE = 0.84, 44

-- Numbers that follow from op and config.
local function shape(p, c)
    local s = {}
    s.up = p.kind == "gemm_up"
    s.halves = s.up and p.gated and 2 or 1
    s.depth = s.up and p.d or p.f
    s.width = s.up and p.f or p.d
    s.out_n = c.bn // s.halves
    s.n_blocks = moe.ceil_div(s.width, s.out_n)
    s.k_tiles = moe.ceil_div(s.depth, BK)
    s.threads = 128 * (1 + c.wgs)
    s.m_blocks = c.bm // 64 // (c.pingpong == 1 and 1 or c.wgs) -- of 64 rows, of a consumer
    s.stage = (c.bm + c.bn) * BK * 2
    s.tables = moe.align((3 * p.e + 1) * 4, 128)
    s.smem = c.stages * s.stage + s.tables + c.stages * 16 + 1024 -- and room to align the ring
    s.sums = s.m_blocks * c.bn // 2
    return s
end

local function require_(p, c, d)
    if c.pingpong == 1 and c.wgs == 1 then return false, "one consumer has nobody to alternate with" end
    if c.pingpong == 0 and c.bm % (64 * c.wgs) ~= 0 then
        return false, "consumers share a tile's rows by whole 64"
    end
    local s = shape(p, c)
    if s.sums > 128 and not (c.bn == 192 and s.sums <= 192 and c.wgs == 2) then
        return false, "too many sums a thread"
    end
    if s.sums > 128 and c.pingpong == 1 and not s.up and p.bias_down then
        return false, "with a bias, so many sums would spill"
    end
    if c.cluster == 2 and (c.bm > 128 or s.out_n % 16 ~= 0) then
        return false, "no pairs of tiles that are so high, or so narrow"
    end
    if s.sums < 16 then return false, "too few sums a thread" end
    if s.smem > d.smem then return false, "more shared memory than a block can have" end
    if c.stages > 3 and c.stages > s.k_tiles + 1 then return false, "more stages than K tiles" end
    if c.bn > 64 and s.out_n >= 2 * s.width then return false, "bn is beyond the result" end
    return true
end

-- A ranking estimate: the slowest of DRAM, L2 and the busiest SM's own work. A K tile takes the
-- longer of its tensor time and of its passage through shared memory
-- (written once, B read by every 64 rows); a tile adds its epilogue, unless consumers alternate; a
-- block starts with the tables and the first copies. Clocks of latencies are round figures.
local function cost(p, c, d)
    local s = shape(p, c)
    local w = loads.work(p, c.bm * c.cluster, c.group)
    local weight_rows = s.width * s.halves
    local weights = weight_rows * s.depth * p.wbytes -- of an expert
    local inputs = s.up and math.min(p.t, w.rows) or w.rows
    local flops = 2 * w.rows * weight_rows * s.depth
    local bytes = w.experts * weights + (inputs * s.depth + w.rows * s.width) * p.xbytes

    local tensor = 2 * c.bm * c.bn * BK / (d.tensor_rate * TENSOR_SHARE)
    local reads = (c.bm + c.bn * c.bm / 64) * BK * 2
    local gather = s.up and c.bm * 8 / 4 or 0 -- issue slots of 16-byte copies
    local step = loads.soft_max(tensor, (s.stage + reads) / 128, gather) + 10
    local epilogue = 300 + c.bm * s.out_n // (c.wgs * 128) * (s.up and 3 or 1)
    local hidden = c.pingpong == 1 and 0.2 or 1
    local tile = s.k_tiles * loads.soft_max(step, 900 / c.stages) + epilogue * hidden
    local tiles = w.tiles * c.cluster * s.n_blocks
    local rounds = math.ceil(tiles / d.sms)
    local clocks = 3500 + 2 * p.e // 32 + rounds * tile
    local fetched = (c.bm + c.bn / c.cluster) * BK * 2
    local l2 = tiles * s.k_tiles * fetched / (d.sms * L2_RATE)

    local walks = weights > d.l2 / 2 and w.walks or w.experts
    local dram = (bytes + (walks - w.experts) * weights) / (d.bandwidth * 0.92)
    local live = (c.bn + math.min(c.bm, w.rows / (w.tiles * c.cluster))) * BK * 2
    local flying = math.min(tiles, d.sms) * live * (c.stages - 1)
    local needed = d.bandwidth * 800 -- that hide 800 ns
    local ns = loads.soft_max(clocks * 1000 / d.clock, l2 * 1000 / d.clock,
                              dram * loads.soft_max(1, needed / flying))
    return {flops = flops, bytes = bytes, ns = ns}
end

-- {bm, bn, wgs, pingpong}, each with as many stages as fit: the best by cost is the default.
local candidates = {
    {128, 256, 2, 0}, {256, 128, 2, 0}, {128, 192, 2, 0}, {128, 128, 2, 0}, {128, 128, 2, 1},
    {64, 256, 2, 1}, {64, 192, 2, 1}, {64, 128, 2, 1}, {64, 64, 2, 1}, {64, 128, 1, 0},
    {64, 64, 1, 0},
}

local function default(p, d)
    local best, least
    for _, from in ipairs(candidates) do
        for stages = 8, 2, -1 do
            local c = {bm = from[1], bn = from[2], stages = stages, wgs = from[3],
                       pingpong = from[4], cluster = 1, group = 8}
            if require_(p, c, d) then
                local ns = cost(p, c, d).ns
                if not best or ns < 0.98 * least then best, least = c, ns end
                break
            end
        end
    end
    return best
end

return moe.template{
    name = "grouped_gemm_sm90",
    op = {"gemm_up", "gemm_down"},
    arch = {90, 90},
    params = {
        {"bm", {64, 128, 192, 256}},
        {"bn", {64, 128, 192, 256}},
        {"stages", {2, 3, 4, 5, 6, 7, 8}},
        {"wgs", {1, 2}},
        {"pingpong", {0, 1}},
        {"cluster", {1, 2}},
        {"group", {1, 4, 8, 16}},
    },
    supports = function(p, d)
        if p.x == "f32" then return false, "wgmma has no fp32 inputs" end
        if p.kind == "gemm_up" and p.weigh == "input" then
            return false, "it does not weigh inputs"
        end
        if p.layout == "interleaved" then return false, "it takes no interleaved rows" end
        return d.arch == "sm_90a", "its instructions need the target sm_90a"
    end,
    require = require_,
    default = default,
    launch = function(p, c, d)
        local s = shape(p, c)
        local maps = {{s.up and "up" or "down",
                       c.cluster == 2 and (s.up and {BK, s.out_n // 2, 1, 1} or {BK, c.bn // 2, 1})
                           or s.up and {BK, s.out_n, s.halves, 1} or {BK, c.bn, 1}, 128}}
        if not s.up then maps[2] = {"h", {BK, 64}, 128} end
        return {
            kernels = {{grid = {"sms", 1}, block = s.threads, smem = s.smem,
                        cluster = c.cluster, overlap = true}},
            maps = maps,
        }
    end,
    cost = cost,
    lib = {
        shape = shape,
        columns = function(p, c) return {c.bn} end,
    },
}
