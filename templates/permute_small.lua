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
            kernels = { { grid = { "fixed", 1 }, block = c.threads, smem = shared_bytes(p, c) } },
            align = 1, deterministic = true, scratch = { fixed = 0, token = 0, block = 0 },
        }
    end,

    -- Time: one launch and, tile after tile, a round trip to memory each way, the ranks and the
    -- tables.
    cost = function(p, c, d)
        local slots, tile = p.t * p.k, c.threads * c.items
        local tiles = math.max(1, moe.ceil_div(slots, tile))
        local clock = d.clock / 1000
        local warps = c.threads // 32
        local sweep = p.e / 32 + moe.ceil_div(p.e, c.threads) * warps -- of the warps' tables
        local rank = c.items * (60 + warps * 8) + sweep * 12
        local count = tiles > 1 and 700 * slots / c.threads / 4 or 0
        local tables = moe.ceil_div(6, warps) * moe.ceil_div(p.e, 128) * 200
        local bytes = slots * 12 + p.e * 40
        local ns = 2000 + count + tables / clock + tiles * (1400 + rank / clock)
        return { flops = 0, bytes = bytes, ns = ns + bytes / d.bandwidth }
    end,
}
