-- grouped_gemm.lua - both expert GEMMs for sm_80 and up: cp.async ring, ldmatrix, mma.sync. As
-- down_combine it adds its rows, weighted, to the sums of their tokens (see sums.lua).
--
-- Parameters: tile bm x bn (rows of x or h, rows of weights) by bk; stages of the ring; warps, wm
-- of them along bm; group, the row tiles of a stripe (see find_place in the .cu); and for f32,
-- math: 1 = three tf32 products, 0 = FFMA; for down_combine, those of sums.lua.

local gemm = moe.use("gemm.lua")
local loads = moe.use("loads.lua")
local sums = moe.use("sums.lua")

local function is_fma(p, c)
    return p.x == "f32" and c.math == 0
end

-- Registers a thread needs, as seen in ptxas' reports over the space, rounded up: the sums, the
-- fragments twice over, their tf32 parts, the gather's addresses, and what every thread has.
local function registers(p, c, s)
    local gather = s.up and 2 * moe.ceil_div(c.bm, s.step) or 2
    local m, n = c.bm // c.wm, c.bn // s.wn
    local sums = c.bm * c.bn // s.threads
    if is_fma(p, c) then return sums + n + gather + 56 end
    local slices = 2 * (m // 4 + n // 4)
    local parts = p.x == "f32" and m // 2 + 4 or 0
    return sums + slices + parts + gather + 36
end

-- Numbers that follow from op and config. The .cu uses `blocks`, and `body`, the bytes of the ring
-- or of the sums that take its place.
local function shape(p, c, d)
    local s = gemm.sides(p)
    s.out_n = c.bn // s.halves
    s.n_blocks = moe.ceil_div(s.width, s.out_n)
    s.k_tiles = moe.ceil_div(s.depth, c.bk)
    s.threads = 32 * c.warps
    s.wn = c.warps // c.wm
    s.row_bytes = c.bk * p.xbytes
    s.step = s.threads * 16 // s.row_bytes
    s.body = c.stages * (c.bm + c.bn) * s.row_bytes
    if s.summed and c.bulk == 1 then
        s.pitch = sums.pitch(p, c, c.bn)
        s.body = math.max(s.body, c.bm * s.pitch)
    end
    s.smem = s.body + 32 + (s.summed and c.bm * 8 or 0)
    s.registers = registers(p, c, s)
    s.blocks = math.max(1, moe.occupancy(d, s.threads, s.registers, s.smem))
    return s
end

local function params(p, d)
    local f32 = p.x == "f32"
    local list = {
        {"bm", {16, 32, 64, 128, 256}},
        {"bn", {32, 64, 128, 256}},
        {"bk", f32 and {16, 32, 64} or {32, 64, 128}},
        {"stages", {2, 3, 4, 5}},
        {"warps", {2, 4, 8}},
        {"wm", {1, 2, 4}},
        {"group", {1, 8}},
    }
    if f32 then list[#list + 1] = {"math", {0, 1}} end
    for _, param in ipairs(p.kind == "down_combine" and sums.params(p, d) or {}) do
        list[#list + 1] = param
    end
    return list
end

local function require_(p, c, d)
    if c.warps % c.wm ~= 0 then return false, "wm does not divide warps" end
    local s = shape(p, c, d)
    local m, n = c.bm // c.wm, c.bn // s.wn
    if m < 16 then return false, "a warp needs 16 rows" end
    if n < 16 then return false, "a warp needs 16 columns" end
    if s.step % 8 ~= 0 then return false, "too few threads to copy rows of this bk" end
    if moe.ceil_div(c.bm, s.step) + moe.ceil_div(c.bn, s.step) > 20 then
        return false, "too many copies a thread"
    end
    if s.smem > d.smem then return false, "more shared memory than a block can have" end
    if c.bm * c.bn > 128 * s.threads then return false, "more than 128 sums a thread" end
    if s.registers > 255 then return false, "too many registers" end
    if c.bm * c.bn < 8 * s.threads then return false, "fewer than 8 sums a thread" end
    if c.stages > 2 and c.stages > s.k_tiles + 1 then return false, "more stages than K tiles" end
    if c.bk > 32 and c.bk >= 2 * s.depth then return false, "bk is beyond K" end
    if c.bn > 32 and s.out_n >= 2 * s.width then return false, "bn is beyond the result" end
    if s.summed then return sums.legal(p, c, d) end
    return true
end

-- FLOPs a clock and SM of the instructions used here. mma.sync does not reach the rate of Hopper's
-- wgmma or Blackwell's tcgen05, and FFMA waits for shared memory: these shares are estimates until
-- measured.
local function flop_rate(p, c, d)
    if is_fma(p, c) then return (d.sm == 80 and 128 or 256) * 0.8 end
    local share = d.sm >= 100 and d.sm < 120 and 0.3 or d.sm == 90 and 0.62 or 0.9
    return d.tensor_rate * share * (p.x == "f32" and 1 / 6 or 1)
end

-- Clocks of a K tile that a warp cannot hide behind its own products, which have a quarter of the
-- SM's units: to load fragments, to start copies, to wait for the others.
local function overhead(p, c, s)
    local m, n = c.bm // c.wm, c.bn // s.wn
    local fragments = is_fma(p, c) and 0 or (m + n) / 16 * s.row_bytes / 32
    local copies = (c.bm + c.bn) * s.row_bytes / 16 / s.threads
    return 60 + 8 * fragments + 6 * copies
end

-- A ranking estimate: the slowest of DRAM, L2 and the blocks' own work. A block works one K tile in
-- the longer of its tensor time and its shared-memory time, `blocks` of them share an SM, and one
-- alone cannot be faster than its chain of waits. The clocks of latencies are round figures.
local function cost(p, c, d, b)
    local s = shape(p, c, d)
    if b then s.blocks = b.blocks[1] end
    local w = loads.work(p, c.bm, c.group)
    local flops, bytes, weights = gemm.moved(p, s, w)
    local added = s.summed and sums.cost(p, c, d, w.rows)
                  or {bytes = 0, clocks = 0, ns = 0}

    local stage = (c.bm + c.bn) * s.row_bytes
    local m, n = c.bm // c.wm, c.bn // s.wn -- of a warp, which reads them once; FFMA, by its shares
    local reads = c.warps * s.row_bytes * (is_fma(p, c) and 8 * m + 4 * n or m + n)
    local tensor = 2 * c.bm * c.bn * c.bk / flop_rate(p, c, d)
    local step = loads.soft_max(tensor, (stage + reads) / 128) + 30 / s.blocks
    local arrival = 900 / (c.stages - 1) -- from a copy's issue to its use, over the steps between
    -- To find the place and fill the ring; to store, after an activation of every other sum.
    local edges = 2000 + (s.up and 16 or 8) * c.bm * c.bn // s.threads
    local own = loads.soft_max(tensor, tensor * 4 / c.warps + overhead(p, c, s))
    local alone = edges + s.k_tiles * loads.soft_max(step, own, arrival)
    local shared = s.k_tiles * step + edges / s.blocks

    local blocks = w.tiles * s.n_blocks
    local slots = d.sms * s.blocks
    local waves = math.floor(blocks / slots)
    local rest = math.ceil((blocks - waves * slots) / d.sms) -- blocks an SM in the last wave
    local function together(n) return n > 1 and loads.soft_max(alone, n * shared) or n * alone end
    local clocks = waves * together(s.blocks) + together(rest)
    local l2 = blocks * s.k_tiles * stage / (d.sms * loads.l2_rate(d)) + added.clocks

    local walks = weights > d.l2 / 2 and w.walks or w.experts
    local moved = bytes + (walks - w.experts) * weights + added.bytes
    local live = (c.bn + w.rows / w.tiles) * s.row_bytes           -- bytes of a stage, less padding
    local flying = math.min(blocks, slots) * live * (c.stages - 1) -- under way, of those
    local ns = loads.soft_max(clocks * 1000 / d.clock, l2 * 1000 / d.clock,
                              loads.stream(d, moved, flying))
    return {flops = flops, bytes = bytes, ns = ns + added.ns}
end

-- Configs {bm, bn, bytes of K, stages, warps, wm}: the best of these by cost is the default. Few
-- rows an expert make the weights' stream the limit: narrow row tiles and a deep ring. Many rows
-- want 64 x 64 of sums a warp (FFMA: 8 x 8 a thread), and tiles as large as the rows fill.
local candidates = {
    {16, 64, 128, 4, 4, 1},  {16, 128, 128, 4, 4, 1}, {16, 32, 128, 4, 2, 1},
    {32, 64, 128, 4, 4, 1},  {32, 64, 128, 3, 4, 2},  {32, 128, 128, 4, 4, 1},
    {32, 128, 64, 4, 4, 1},  {64, 64, 128, 3, 4, 2},  {64, 128, 128, 3, 4, 2},
    {64, 128, 64, 4, 4, 2},  {64, 256, 64, 3, 4, 1},  {128, 64, 64, 3, 4, 4},
    {128, 64, 64, 4, 4, 2},  {128, 128, 64, 4, 4, 2}, {128, 128, 64, 3, 4, 2},
    {128, 128, 128, 3, 4, 2}, {128, 256, 64, 4, 8, 2}, {128, 256, 128, 4, 8, 2},
    {16, 32, 64, 2, 2, 1}, -- legal everywhere
}

local function default(p, d)
    local function with(from, math_, wide)
        local c = {bm = from[1], bn = from[2], bk = from[3] // p.xbytes, stages = from[4],
                   warps = from[5], wm = from[6], group = 8}
        if p.x == "f32" then c.math = math_ end
        if p.kind == "down_combine" then c.wide, c.bulk = wide, d.sm >= 90 and 1 or 0 end
        return c
    end
    return loads.best(0.98, function(try)
        for _, from in ipairs(candidates) do
            for math_ = p.x == "f32" and 0 or 1, 1 do
                for wide = p.kind == "down_combine" and 0 or 1, 1 do
                    try(with(from, math_, wide))
                end
            end
        end
    end, function(c) return require_(p, c, d) and cost(p, c, d).ns end)
end

return moe.template{
    name = "grouped_gemm",
    op = {"gemm_up", "gemm_down", "down_combine"},
    arch = {80, 120},
    params = params,
    supports = function(p, d)
        if p.drop ~= "plain" then
            return false, "it adds rows as they come, before it is known what was dropped"
        end
        return not (p.kind == "down_combine" and p.shared_experts > 0),
               "its sums have no rows of shared experts"
    end,
    require = require_,
    default = default,
    launch = function(p, c, d)
        local s = shape(p, c, d)
        local kernel = {grid = {"row_tiles", c.bm, s.n_blocks}, block = s.threads, smem = s.smem,
                        overlap = d.sm >= 90}
        if s.summed then return sums.launch(p, c, d, kernel) end
        return {kernels = {kernel}, align = 1, deterministic = true}
    end,
    cost = cost,
    lib = {shape = shape, sums = sums},
}
