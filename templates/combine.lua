-- combine.lua - the weighted sum of each token's rows.
--
--   threads  of a block; each takes 16 bytes of a token at a time
--   tokens   of a block
--   split    blocks that share the width of the same tokens

local loads = moe.use("loads.lua")

local function chunks(p) return moe.ceil_div(p.d * p.xbytes, 16) end

-- 16-byte pieces of y that a block makes.
local function pieces(p, c) return c.tokens * moe.ceil_div(chunks(p), c.split) end

return moe.template {
    name = "combine",
    op = { "combine" },
    arch = { 80, 120 },
    params = {
        { "threads", { 64, 128, 256, 512 } },
        { "tokens", { 1, 2, 4, 8 } },
        { "split", { 1, 2, 4, 8 } },
    },

    require = function(p, c, d)
        if c.split > 1 and c.tokens > 1 then
            return false, "only single tokens are split"
        end
        if c.split > 1 and moe.ceil_div(chunks(p), c.split) < 32 then
            return false, "a part is narrower than a warp"
        end
        local busy = c.threads == 64 or pieces(p, c) > c.threads / 2
        return busy, "more than half of the threads would idle"
    end,

    default = function(p, d)
        local width = chunks(p)
        local split, tokens = 1, 1
        -- Few tokens: blocks for a quarter of the SMs at least, while a part fills two warps.
        while split < 8 and p.t * split * 4 < d.sms and width >= split * 2 * 64 do
            split = split * 2
        end
        local threads = 64
        while threads < 256 and width // split > threads do threads = threads * 2 end
        -- Many narrow tokens: several a block.
        while split == 1 and tokens < 8 and tokens * width < 128 and p.t > tokens * d.sms * 8 do
            tokens = tokens * 2
        end
        return { threads = threads, tokens = tokens, split = split }
    end,

    launch = function(p, c, d)
        return {
            kernels = { { grid = { "tokens", c.tokens, c.split }, block = c.threads, smem = 0,
                          overlap = d.sm >= 90 } },
            align = 1, deterministic = true, scratch = { fixed = 0, token = 0, block = 0 },
        }
    end,

    -- Time: the launch, and the larger of DRAM traffic and of the blocks' rounds of two dependent
    -- accesses (maps, then rows), 800 ns each, at 64 registers a thread.
    cost = function(p, c, d, b)
        local rows = p.k * p.held / p.e + p.shared_experts -- that a token has on this device
        local once = 1 + (p.shared_gated and 1 or 0) -- y, and x for the gate
        local bytes = p.t * rows * (p.d * p.xbytes + 8) + p.t * p.d * p.xbytes * once
        local blocks = moe.ceil_div(p.t, c.tokens) * c.split
        local at_once = b and b.blocks[1] or moe.occupancy(d, c.threads, 64, 0)
        local resident = at_once * d.sms
        local rounds = moe.ceil_div(pieces(p, c), c.threads) * math.ceil(rows / 8)
        local chain = moe.ceil_div(blocks, resident) * (900 + 800 * rounds)
        return { flops = 2 * p.t * rows * p.d, bytes = bytes,
                 ns = loads.launch(d) + math.max(bytes / (0.9 * d.bandwidth), chain) }
    end,
}
