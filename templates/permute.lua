-- permute.lua - index maps by two or three kernels, for many tokens.
--
--   blocks   most blocks that share the slots; each reads what all have counted
--   threads  of a block
--   items    slots of a thread that are ranked together
--   scan     1: a kernel of its own turns the blocks' counts into prefix sums, which pays with many
--            experts

local loads = moe.use("loads.lua")
local maps = moe.use("permute.lua")

local function scatter_bytes(p, c) return maps.shared_bytes(p, c.threads) end

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

    -- Wide blocks, items for at most 128 blocks of one tile; a scan where the blocks would
    -- otherwise read more than 256 KB each.
    default = function(p, d)
        local slots = p.t * p.k
        local c = { blocks = 128, threads = 512, items = 2, scan = 0 }
        while c.threads > 128 and scatter_bytes(p, c) > d.smem do c.threads = c.threads // 2 end
        while c.items < 8 and c.blocks * c.threads * c.items < slots do c.items = c.items * 2 end
        local live = math.min(c.blocks, moe.ceil_div(slots, c.threads * c.items))
        if live * p.held * 4 > 256 * 1024 then c.scan = 1 end
        return c
    end,

    launch = function(p, c, d)
        local all = { "fixed", c.blocks }
        local overlap = d.sm >= 90
        local gate, kernels = p.priority == "gate", {}
        local function add(name, grid, block, smem)
            kernels[#kernels + 1] = { name = name, grid = grid, block = block, smem = smem,
                                      overlap = overlap }
        end
        if gate then add("gate", { "fixed", p.held }, 256, 0) end
        add("count", all, c.threads, p.held * 4)
        if c.scan == 1 then add("scan", { "fixed", moe.ceil_div(p.held, 32) }, 1024, 0) end
        add("scatter", all, c.threads, scatter_bytes(p, c))
        return { kernels = kernels, align = 1, deterministic = true,
                 scratch = { fixed = (c.scan + c.blocks) * p.held * 4,
                             token = gate and p.k * 4 or 0, block = 0 } }
    end,

    -- Time: the gate reads all ids for each expert and the weights of a choice four times, at the
    -- L2's rate of about 2 KB a ns; launches, then by kernel the rounds of dependent memory
    -- accesses and, for scatter, what a block reads of the counts. Fitted to the simulated H100: a
    -- kernel's first accesses take a good us, a further tile of count 340 ns; sixteen loads of
    -- counts in flight take 600 cycles.
    cost = function(p, c, d)
        local slots, tile = p.t * p.k, c.threads * c.items
        local warps = c.threads // 32
        local share = math.max(1, moe.ceil_div(slots, c.blocks * tile)) -- tiles of a block
        local live = math.max(1, moe.ceil_div(slots, share * tile))
        local waves = moe.ceil_div(live, d.sms)
        local clock = d.clock / 1000 -- cycles a ns
        local columns = moe.ceil_div(p.held, c.threads) -- experts of a thread
        local groups = math.max(1, c.threads // p.held)
        local read = c.scan == 1 and moe.ceil_div(columns, 4) * 1200
            or columns * moe.ceil_div(live, groups * 16) * 600
        local rank = 500 + c.items * 110 + p.held // 32 * 8 + columns * warps * 10
        local starts = moe.ceil_div(p.held, 128) * 200
        local bytes = slots * 12 + p.held * 40
        local ns = (2 + c.scan) * loads.launch(d) + 2300 + c.scan * 1600
            + waves * (share - 1) * 340 + waves * (read + starts + share * rank) / clock
        local gate = p.priority == "gate" and 2600 + p.held * slots * 16 / 2048 or 0
        return { flops = 0, bytes = bytes, ns = ns + gate + bytes / d.bandwidth }
    end,
}
