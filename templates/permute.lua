-- permute.lua - index maps by two or three kernels, for many tokens.
--
--   blocks   most blocks that share the slots; each reads what all have counted
--   threads  of a block
--   items    slots of a thread that are ranked together
--   scan     1: a kernel of its own turns the blocks' counts into prefix sums, which pays with many
--            experts

-- Bytes of shared memory of `scatter`: a table of counts for each warp and three of the block.
local function scatter_bytes(p, c)
    return ((c.threads // 32 + 3) * p.e + 1) * 4
end

return moe.template {
    name = "permute",
    op = { "permute" },
    arch = { 80, 120 },
    params = {
        { "blocks", { 32, 64, 128, 256 } },
        { "threads", { 128, 256, 512 } },
        { "items", { 2, 4, 8 } },
        { "scan", { 0, 1 } },
    },

    require = function(p, c, d)
        return scatter_bytes(p, c) <= d.smem, "the warps' tables do not fit shared memory"
    end,

    default = function(p, d)
        local slots = p.t * p.k
        local blocks = slots <= 64 * 1024 and 64 or 128
        return { blocks = blocks, threads = 256, items = slots <= 64 * 1024 and 4 or 8,
                 scan = p.e > 256 and slots > 64 * 1024 and 1 or 0 }
    end,

    launch = function(p, c, d)
        local all = { "fixed", c.blocks }
        local kernels = { { name = "count", grid = all, block = c.threads, smem = p.e * 4 } }
        if c.scan == 1 then
            local experts = { "fixed", moe.ceil_div(p.e, 32) }
            kernels[2] = { name = "scan", grid = experts, block = 1024, smem = 0 }
        end
        kernels[#kernels + 1] =
            { name = "scatter", grid = all, block = c.threads, smem = scatter_bytes(p, c) }
        return { kernels = kernels, align = 1, deterministic = true,
                 scratch = { fixed = c.scan * p.e * 4, token = 0, block = p.e * 4 } }
    end,

    -- Time: launches, then by kernel the rounds of dependent memory accesses and, for scatter, what
    -- a block reads of the counts. Assumed: 2 us a launch, 700 ns a round trip to memory, 32 B a
    -- clock into an SM.
    cost = function(p, c, d)
        local slots, tile = p.t * p.k, c.threads * c.items
        local share = math.max(1, moe.ceil_div(slots, c.blocks * tile)) -- tiles of a block
        local live = math.max(1, moe.ceil_div(slots, share * tile))
        local waves = moe.ceil_div(live, d.sms)
        local clock = d.clock / 1000 -- cycles a ns
        local table_rounds = moe.ceil_div(p.e, c.threads)
        local rank = (c.items * 90 + (p.e / 32 + table_rounds * c.threads / 32) * 8) / clock
        local read = c.scan == 1 and 700 or 700 + live * p.e * 4 / 32 / clock
        local scan = c.scan == 1 and 2000 + 1400 + live * 10 or 0
        local bytes = slots * 12 + p.e * 40
        local ns = 4000 + waves * share * 2 * 700 + scan
            + waves * (read + moe.ceil_div(p.e, 128) * 200 / clock + share * (1400 + rank))
        return { flops = 0, bytes = bytes, ns = ns + bytes / d.bandwidth }
    end,
}
