-- permute.lua - what makers of index maps share: shared memory, and the time of one block.

-- Bytes of shared memory of a block that ranks: a table of counts for each warp and three of the
-- block.
local function shared_bytes(p, threads)
    return ((threads // 32 + 2) * p.held + p.listed + 1) * 4
end

-- Predicted ns of all maps by one block, without a launch: tile after tile, a round trip to memory,
-- the ranks and the warps' tables; before them, where there are several tiles, the count. Fitted to
-- the simulated H100.
local function alone(p, d, threads, items)
    local slots = p.t * p.k
    local tiles = math.max(1, moe.ceil_div(slots, threads * items))
    local warps = threads // 32
    local columns = moe.ceil_div(p.held, threads)
    local count = tiles > 1 and moe.ceil_div(slots, threads * 8) * 800 or 0
    local busy = math.min(warps, moe.ceil_div(slots, 32 * items))
    local rank = 500 + items * (110 + busy * 40) + p.held // 32 * 8 + columns * warps * 10
    local tables = moe.ceil_div(8, warps) * moe.ceil_div(p.listed, 128) * 200
    return (count + tables + tiles * rank) / (d.clock / 1000)
end

-- For templates that cannot rank by weight.
local function by_order(p, d) return p.priority == "order", "it keeps rows by token order only" end

return { shared_bytes = shared_bytes, alone = alone, by_order = by_order }
