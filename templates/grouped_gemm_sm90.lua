-- grouped_gemm_sm90.lua - both expert GEMMs for sm_90a: bulk copies, mbarriers, wgmma.
--
-- A persistent block per SM: one producer warpgroup fills a ring in shared memory, one or two
-- consumer warpgroups multiply. Parameters: tile bm x bn (rows of x or h, rows of weights), bk of K
-- a stage; stages of the ring; wgs, the consumers; pingpong, 1: consumers have tiles of their own,
-- so that one stores while the other multiplies, 0: they share the rows of a tile; cluster, 2:
-- blocks with neighbouring row tiles of an expert share what they fetch of its weights; raster and
-- group, the order of an expert's tiles, see stripes.cuh; store, 0: lanes store results, else: the
-- copy engine does, from so many pieces of shared memory a warp; regs, what a thread of the
-- producer keeps of its registers where there are two consumers.

local gemm = moe.use("gemm.lua")
local loads = moe.use("loads.lua")
local weights_box = moe.use("weights_box.lua")

-- Clocks for the copy engine to read a piece, a round figure; others are in loads.lua.
local PIECE = 400
local hopper = loads.hopper

-- Columns of a warp's store by the copy engine: they divide a tile's.
local function piece(out_n)
    for columns = 64, 32, -8 do
        if out_n % columns == 0 then return columns end
    end
end

-- Numbers that follow from op and config.
local function shape(p, c)
    local s = gemm.sides(p)
    s.out_n = c.bn // s.halves
    s.n_blocks = moe.ceil_div(s.width, s.out_n)
    s.k_tiles = moe.ceil_div(s.depth, c.bk)
    s.slice = math.min(c.bk, 64) -- elements of a swizzled row
    s.threads = 128 * (1 + c.wgs)
    s.m_blocks = c.bm // 64 // (c.pingpong == 1 and 1 or c.wgs) -- of 64 rows, of a consumer
    s.idle = c.cluster == 2 or c.pingpong == 0 and c.wgs == 2 -- there are consumers without a row
    s.few = c.bm > 64 and c.bm // 2 or 0 -- rows of a tile that is half the work
    s.piece = piece(s.out_n)
    s.stage = (c.bm * p.xbytes + c.bn * p.wbytes) * c.bk
    s.staging = c.store * c.wgs * 4 * 16 * s.piece * p.xbytes
    s.tables = moe.align((3 * p.listed + 1) * 4, 128)
    s.fixed = s.staging + s.tables + 1024 -- and room to align the ring
    s.smem = c.stages * (s.stage + 16) + s.fixed
    s.sums = s.m_blocks * c.bn // 2
    s.maps = (s.up and 1 or 2) + (p.shared_experts > 0 and 1 or 0) + (c.store > 0 and 1 or 0)
    return s
end

-- One block runs on an SM, so shared memory that the ring does not take is lost: fewer stages than
-- three quarters of what fits, eight at most, and one more than K tiles, are not worth a trial.
local function require_stages(c, s, d)
    if s.smem > d.smem then return false, "more shared memory than a block can have" end
    if c.stages > 3 and c.stages > s.k_tiles + 1 then return false, "more stages than K tiles" end
    local most = math.min(8, s.k_tiles + 1, (d.smem - s.fixed) // (s.stage + 16))
    if c.stages < 3 * most // 4 then return false, "more stages would fit" end
    return true
end

-- Whether a consumer's sums leave too few registers for its epilogue, as seen in the compiler's
-- log:
-- 128 sums leave enough, but where lanes store and add a bias or have no gate; more only where
-- there is no bias, and with an activation only where that is short and all consumers share a tile.
local function spills(p, c, s)
    local bias = s.up and p.bias_up or not s.up and p.bias_down
    if s.sums < 128 then return false end
    if s.sums == 128 then return s.up and c.store == 0 and (bias or not p.gated) end
    if s.sums > 192 or c.wgs == 1 or bias then return true end
    if s.up then
        return p.act_kind ~= "swiglu" or p.weigh == "input" or c.pingpong == 1
               or s.sums > 160 and c.store > 0
    end
    return s.sums > 160 and (c.pingpong == 0 or c.store == 2 and (c.cluster == 2 or c.bm > 128))
end

local function require_(p, c, d)
    if c.pingpong == 1 and c.wgs == 1 then
        return false, "one consumer has nobody to alternate with"
    end
    if c.pingpong == 0 and c.bm % (64 * c.wgs) ~= 0 then
        return false, "consumers share a tile's rows by whole 64"
    end
    if c.wgs == 1 and c.regs ~= 40 then return false, "one consumer needs no split of registers" end
    if c.bk == 32 and c.bm + c.bn < 256 then return false, "bk=32 is for large tiles" end
    if c.bk == 128 and c.bm + c.bn > 256 then return false, "bk=128 is for small tiles" end
    local s = shape(p, c)
    if s.sums < 16 then return false, "too few sums a thread" end
    if spills(p, c, s) then return false, "so many sums a thread would spill" end
    if c.cluster == 2 and (c.bm > 128 or s.out_n % 16 ~= 0) then
        return false, "no pairs of tiles that are so high, or so narrow"
    end
    if c.bn > 64 and s.out_n >= 2 * s.width then return false, "bn is beyond the result" end
    if c.group > 4 and c.raster == 1 and c.group >= 2 * s.n_blocks then
        return false, "a smaller group of columns has them all"
    end
    return require_stages(c, s, d)
end

-- What the expected loads make: units of work (see stripes.cuh) of a column block, and the DRAM
-- bytes that come again because L2 has lost them: weights for every stripe of rows, or rows for
-- every stripe of columns.
local function work(p, c, d, s)
    local w = {units = 0, again = 0}
    local height = c.bm * c.cluster
    local weights = s.width * s.halves * s.depth * p.wbytes -- of an expert
    for _, load in ipairs(moe.loads(p)) do
        local n, rows = load[1], load[2]
        local alive = 1 - math.exp(-rows) -- of a Poisson count
        local least = alive * (rows <= s.few and 0.5 or 1)
        local units = rows > s.few and rows / height + 0.5 - s.few / (2 * height) or 0
        w.units = w.units + n * math.max(least, units)
        local row_bytes = rows * s.depth * p.xbytes
        if c.raster == 0 and weights > d.l2 / 2 then
            local groups = math.max(1, math.ceil(rows / height / c.group))
            w.again = w.again + n * alive * (groups - 1) * weights
        elseif c.raster == 1 and row_bytes > d.l2 / 2 then
            w.again = w.again + n * (math.ceil(s.n_blocks / c.group) - 1) * row_bytes
        end
    end
    return w
end

-- Clocks of a tile behind its last product. Instructions of the activation are counted by the
-- special function unit, which takes 8 clocks for a warp, two of them an element.
local function epilogue(c, s)
    local each = s.up and 16 or c.store > 0 and 2 or 3 -- clocks of a warp for 32 results
    local warps = c.pingpong == 1 and 1 or c.wgs     -- of one SM quarter, at work at once
    local pieces = s.m_blocks * moe.ceil_div(s.out_n, s.piece)
    local fill = 16 * s.piece / 32 * each * warps
    local wait = c.store > 0 and (pieces - 1) * math.max(0, PIECE / c.store - fill) or 0
    return hopper.drain + pieces * fill + wait
end

-- A ranking estimate: the slowest of DRAM, L2 and the busiest SM's own work. A stage takes the
-- longer of its tensor time and of its passage through shared memory (written once, B read by every
-- 64 rows); a tile adds its epilogue, unless consumers alternate; a block starts with the tables
-- and the first copies.
local function cost(p, c, d)
    local s = shape(p, c)
    local l = loads.work(p, c.bm, c.group) -- for rows and experts
    local w = work(p, c, d, s)
    local flops, bytes = gemm.moved(p, s, l)

    local tensor = 2 * c.bm * c.bn * c.bk / (d.tensor_rate * hopper.tensor_share)
    local reads = (c.bm * p.xbytes + c.bn * p.wbytes * c.bm / 64) * c.bk
    local gather = s.up and c.bm * c.bk * p.xbytes / 16 / 4 or 0 -- issue slots of 16-byte copies
    local step = loads.soft_max(tensor, (s.stage + reads) / 128, gather) + hopper.step * s.halves
    local tile = s.k_tiles * loads.turn(step, s.stage, c.stages)
                 + epilogue(c, s) * (c.pingpong == 1 and 0.15 or 1)
    local units = math.max(1, w.units * s.n_blocks * c.cluster)
    local clocks = hopper.start + loads.arrival(s.stage) + 2 * p.listed // 32
                   + math.ceil(units / d.sms) * tile
    local fetched = (c.bm * p.xbytes + c.bn * p.wbytes / c.cluster) * c.bk
    local l2 = units * s.k_tiles * fetched / (d.sms * hopper.l2_rate)

    local live = (c.bn * p.wbytes + math.min(c.bm, l.rows * s.n_blocks / units) * p.xbytes) * c.bk
    local flying = math.min(units, d.sms) * live * (c.stages - 1)
    local ns = loads.soft_max(clocks * 1000 / d.clock, l2 * 1000 / d.clock,
                              loads.stream(d, bytes + w.again, flying))
    return {flops = flops, bytes = bytes, ns = ns}
end

-- {bm, bn, bk, wgs, pingpong}: the best by cost, with as many stages as fit, is the default.
local candidates = {
    {128, 256, 64, 2, 0}, {128, 256, 32, 2, 0}, {128, 240, 64, 2, 0}, {128, 192, 64, 2, 0},
    {128, 192, 64, 2, 1}, {256, 128, 64, 2, 0}, {128, 128, 64, 2, 0}, {128, 128, 64, 2, 1},
    {64, 256, 64, 2, 1}, {64, 240, 64, 2, 1}, {64, 192, 64, 2, 1}, {64, 128, 64, 2, 1},
    {64, 64, 64, 2, 1}, {64, 128, 64, 1, 0}, {64, 64, 64, 1, 0},
}
local others = { -- {cluster, raster, store}
    {1, 0, 2}, {1, 0, 1}, {1, 1, 2}, {1, 1, 1}, {2, 0, 2}, {2, 0, 1}, {2, 1, 2}, {2, 1, 1},
}

local function config(tile, other, stages)
    return {bm = tile[1], bn = tile[2], bk = tile[3], stages = stages, wgs = tile[4],
            pingpong = tile[5], cluster = other[1], raster = other[2], group = 8, store = other[3],
            regs = 40}
end

local function default(p, d)
    return loads.best(0.99, function(try)
        for _, tile in ipairs(candidates) do
            for _, other in ipairs(others) do
                for _, stages in ipairs{8, 6, 5, 4, 3, 2} do
                    if try(config(tile, other, stages)) then break end
                end
            end
        end
    end, function(c) return require_(p, c, d) and cost(p, c, d).ns end)
end

local function maps(p, c, s)
    local columns = c.cluster == 2 and s.out_n // 2 or s.out_n -- of a copy
    local list = s.up and weights_box.up(p, s.slice, columns, c.cluster == 2)
        or weights_box.down(p, s.slice, columns)
    if not s.up then list[#list + 1] = {"h", {s.slice, 64}, 2 * s.slice} end
    if c.store > 0 then
        list[s.maps] = {s.up and "h" or "y_rows", {s.piece, 16},
                        s.piece % 32 == 0 and 2 * s.piece or 0}
    end
    return list
end

return moe.template{
    name = "grouped_gemm_sm90",
    op = {"gemm_up", "gemm_down"},
    arch = {90, 90},
    params = function(p)
        return {
            {"bm", {64, 128, 192, 256}},
            {"bn", {64, 96, 128, 160, 192, 224, 240, 256}},
            {"bk", {32, 64, 128}},
            {"stages", {2, 3, 4, 5, 6, 8}},
            {"wgs", {1, 2}},
            {"pingpong", {0, 1}},
            {"cluster", {1, 2}},
            {"raster", {0, 1}},
            {"group", {4, 8, 16}},
            {"store", {0, 1, 2}},
            {"regs", p.kind == "gemm_up" and {40, 56} or {40}}, -- with 24, a walk would spill
        }
    end,
    supports = function(p, d)
        if p.x == "f32" then return false, "wgmma has no fp32 inputs" end
        return d.arch == "sm_90a", "its instructions need the target sm_90a"
    end,
    require = require_,
    default = default,
    launch = function(p, c, d)
        local s = shape(p, c)
        return {
            kernels = {{grid = {"sms", 1}, block = s.threads, smem = s.smem,
                        cluster = c.cluster, overlap = true}},
            maps = maps(p, c, s),
        }
    end,
    cost = cost,
    lib = {
        shape = shape,
        columns = function(p, c) return {c.bn} end,
    },
}
