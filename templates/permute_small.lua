-- permute_small.lua - index maps by one block, for few tokens.
--
--   threads  of the block
--   items    slots of a thread that are ranked together; where threads*items holds all slots, they
--            are read once

local loads = moe.use("loads.lua")
local maps = moe.use("permute.lua")

local function shared_bytes(p, c) return maps.shared_bytes(p, c.threads) end

return moe.template {
    name = "permute_small",
    op = { "permute" },
    arch = { 80, 120 },
    supports = maps.by_order,
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
        while threads > 64 and maps.shared_bytes(p, threads) > d.smem do
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

    -- Time: a launch, and all by one block.
    cost = function(p, c, d)
        local bytes = p.t * p.k * 12 + p.e * 40
        return { flops = 0, bytes = bytes,
                 ns = loads.launch(d) + maps.alone(p, d, c.threads, c.items) + bytes / d.bandwidth }
    end,
}
