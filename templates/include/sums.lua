-- sums.lua - what templates share that add up the weighted rows of a token in memory, in whatever
-- order they come: kernels that clear the sums before and round them behind, and what all of it
-- costs.
--
-- Sums have the dtype of y and stand in y itself, or (wide) are fp32 and stand in scratch. Wide
-- ones cost a pass over them and, where they outgrow L2, twice the traffic of the others. The
-- others are rounded at every addition, which makes the error of y, next to that of a pipeline that
-- rounds each row once, 1.25 times as large for 4 rows a token and 1.48 times for 8: only up to 4
-- are added so.
--
-- Lanes add with vectors of red or (bulk) put rows into shared memory, from where the copy engine
-- adds them.

local loads = moe.use("loads.lua")

local MOST_ROUNDED = 4 -- rows a token

local THREADS = 256

local function element(p, c) return c.wide == 1 and 4 or p.xbytes end

local function params(p, d)
    return {{"wide", p.x == "f32" and {0} or {0, 1}}, {"bulk", d.sm >= 90 and {0, 1} or {0}}}
end

-- Bytes from a row in shared memory to the next, of `columns` sums: lanes meet all banks.
local function pitch(p, c, columns)
    return columns * element(p, c) + (element(p, c) == 4 and 32 or 16)
end

-- Tokens that a block clears or rounds: some 16 KB of sums.
local function tokens(p, c) return math.max(1, 16384 // (p.d * element(p, c))) end

local function legal(p, c, d)
    if p.x == "f32" then return c.wide == 0, "fp32 sums are as wide as they get" end
    if c.wide == 1 then return true end
    if p.x == "bf16" and d.sm < 90 then
        return false, "bf16 has no additions in memory before sm_90"
    end
    return p.k <= MOST_ROUNDED, "so many roundings would be seen in y"
end

-- The launch of a kernel that adds: `main`, its entry, which waits for the sums only when it adds.
local function launch(p, c, d, main)
    local function pass(name)
        return {name = name, grid = {"tokens", tokens(p, c)}, block = THREADS, overlap = d.sm >= 90}
    end
    main.name = "add"
    return {
        kernels = {pass("clear"), main, c.wide == 1 and pass("round") or nil},
        scratch = {token = c.wide == 1 and p.d * 4 or 0},
        deterministic = false,
    }
end

-- For cost functions, of `rows` rows: DRAM bytes that the additions cause where the sums outgrow L2
-- (a sector that is not there is read and written again); clocks an SM of L2, which adds at half
-- the rate at which it is written; and ns of the other kernels.
local function cost(p, c, d, rows)
    local size = p.t * p.d * element(p, c)
    local there = math.min(1, 0.6 * d.l2 / size)
    local added = rows * p.d * element(p, c)
    local y = p.t * p.d * p.xbytes
    local rate = size < 0.5 * d.l2 and 2.5 * d.bandwidth or 0.9 * d.bandwidth
    local passes = loads.launch(d) + size / rate
    if c.wide == 1 then passes = passes + loads.launch(d) + 800 + (size + y) / rate end
    return {bytes = 2 * (1 - there) * added,
            clocks = 2 * added / (d.sms * loads.l2_rate(d)), ns = passes}
end

return {params = params, legal = legal, launch = launch, pitch = pitch, tokens = tokens,
        cost = cost, threads = THREADS}
