-- permute.lua - what makers of index maps share: shared memory, and the time of one block.

local loads = moe.use("loads.lua")

-- Bytes of shared memory of a block that ranks: a table of counts for each warp and three of the
-- block.
local function shared_bytes(p, threads)
    return ((threads // 32 + 2) * p.held + p.listed + 1) * 4
end

-- Predicted ns of all maps by one block, without a launch: the slowest of a warp's own chain, of
-- the instructions of all, and of what one SM sends to L2 and back. Clocks are round figures. The
-- chain: a round trip to memory, then tile after tile the warps' tables and each item, which has
-- its place divided into token and choice, is ranked, and is written; before them, where there are
-- several tiles, the count. A warp executes some 100 instructions an item. Slots of neighbours lie
-- k apart and rows anywhere, so that each takes most of a sector.
local function alone(p, d, threads, items)
    local slots = p.t * p.k
    local tiles = math.max(1, moe.ceil_div(slots, threads * items))
    local warps = threads // 32
    local columns = moe.ceil_div(p.held, threads)
    local count = tiles > 1 and moe.ceil_div(slots, threads * 8) * 800 or 0
    local rank = 300 + items * 300 + p.held // 32 * 8 + columns * warps * 10
    local tables = moe.ceil_div(8, warps) * moe.ceil_div(p.listed, 128) * 200
    local chain = 1000 + count + tables + tiles * rank
    local issue = tiles * warps * items * 100 / 4
    local passes = tiles > 1 and 3 or 2 -- over slots
    local port = slots * (passes * math.min(32, 4 * p.k) + 32) / 64
    return loads.soft_max(chain, issue, port) / (d.clock / 1000)
end

-- For templates that cannot rank by weight.
local function by_order(p, d) return p.priority == "order", "it keeps rows by token order only" end

return { shared_bytes = shared_bytes, alone = alone, by_order = by_order }
