-- permute_small.lua - index maps by one block, for few tokens.
--
--   threads  of the block
--   items    slots of a thread that are ranked together; where threads*items holds all slots, they
--            are read once

-- Bytes of shared memory: a table of counts for each warp and three of the block.
local function shared_bytes(p, c)
    return ((c.threads // 32 + 3) * p.e + 1) * 4
end

return moe.template {
    name = "permute_small",
    op = { "permute" },
    arch = { 80, 120 },
    params = {
        { "threads", { 64, 128, 256, 512, 1024 } },
        { "items", { 1, 2, 4, 8, 16 } },
    },

    require = function(p, c, d)
        if c.threads * c.items > 8192 then return false, "too many registers" end
        return shared_bytes(p, c) <= d.smem, "the warps' tables do not fit shared memory"
    end,

    default = function(p, d)
        local slots = p.t * p.k
        local threads = slots <= 128 and 128 or slots <= 1024 and 256 or 512
        while threads > 64 and shared_bytes(p, { threads = threads }) > d.smem do
            threads = threads // 2
        end
        local items = 1
        while items < 16 and threads * items < slots do items = items * 2 end
        return { threads = threads, items = items }
    end,

    launch = function(p, c, d)
        return {
            kernels = { { grid = { "fixed", 1 }, block = c.threads, smem = shared_bytes(p, c),
                          overlap = d.sm >= 90 } },
            align = 1, deterministic = true, scratch = { fixed = 0, token = 0, block = 0 },
        }
    end,

    -- Time: one launch and, tile after tile, a round trip to memory, the ranks and the warps'
    -- tables; before them, where there are several tiles, the count. Fitted to the simulated H100.
    cost = function(p, c, d)
        local slots, tile = p.t * p.k, c.threads * c.items
        local tiles = math.max(1, moe.ceil_div(slots, tile))
        local clock = d.clock / 1000
        local warps = c.threads // 32
        local columns = moe.ceil_div(p.e, c.threads)
        local count = tiles > 1 and moe.ceil_div(slots, c.threads * 8) * 800 or 0
        local busy = math.min(warps, moe.ceil_div(slots, 32 * c.items))
        local rank = 500 + c.items * (110 + busy * 40) + p.e // 32 * 8 + columns * warps * 10
        local tables = moe.ceil_div(6, warps) * moe.ceil_div(p.e, 128) * 200
        local bytes = slots * 12 + p.e * 40
        local ns = 1900 + (count + tables + tiles * rank) / clock
        return { flops = 0, bytes = bytes, ns = ns + bytes / d.bandwidth }
    end,
}
