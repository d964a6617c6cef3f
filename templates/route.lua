-- route.lua - router GEMM, top-k, weights and load-balancing sums.
--
--   bt      tokens of a block
--   be      experts that a block multiplies at once
--   bk      elements of K in a stage; half as many for f32
--   stages  of the ring of copies
--   warps   of a block
--   split   0: one kernel. n: for few tokens; blocks share the tiles of experts and n slices of K,
--           and a second kernel selects

local function bk(p, c) return c.bk * 2 // p.xbytes end
local function stage_bytes(p, c) return (c.be + c.bt) * bk(p, c) * p.xbytes end
local function ring_bytes(p, c) return c.stages * stage_bytes(p, c) end

-- The narrowest tile that holds all experts, or the widest.
local function most(p)
    local be = 16
    while be < p.e and be < 128 do be = be * 2 end
    return be
end

-- Bytes of shared memory: of the one kernel or of `logits`; of `select`.
local function shared_bytes(p, c)
    if c.split > 0 then
        return math.max(ring_bytes(p, c), c.bt * (c.be + 4) * 4)
    end
    local logits = c.bt * (moe.align(p.e, 16) + 4) * 4
    local both = p.e <= c.be and math.max(ring_bytes(p, c), logits) or ring_bytes(p, c) + logits
    return both + p.e * 4 + c.bt * 8
end
local function select_bytes(p, c) return (c.warps + 1) * p.e * 4 + c.warps * 8 end

local function legal(p, c, d)
    local tiles = c.be // 16
    local warps_e = math.min(c.warps, tiles)
    if c.be > most(p) then
        return false, "the tile has more experts than the layer"
    end
    if c.split == 0 and c.be < most(p) then
        return false, "one kernel takes the widest tile"
    end
    if c.bk // 16 % (c.warps // warps_e) ~= 0 then
        return false, "the warps do not share a stage evenly"
    end
    if tiles // warps_e * (c.bt // 8) * 4 * (p.x == "f32" and 2 or 1) > 64 then
        return false, "too many sums a thread"
    end
    if c.split > 0 and (c.bt > 64 or c.bk ~= 128 or c.stages == 3) then
        return false, "split is for few tokens and deep stages"
    end
    if c.split > moe.ceil_div(p.d, bk(p, c)) then
        return false, "more slices than stages of K"
    end
    if shared_bytes(p, c) > d.smem or c.split > 0 and select_bytes(p, c) > d.smem then
        return false, "stages and logits do not fit shared memory"
    end
    return true
end

-- Blocks of the GEMM.
local function blocks(p, c)
    local shares = c.split > 0 and moe.ceil_div(p.e, c.be) * c.split or 1
    return moe.ceil_div(p.t, c.bt) * shares
end

-- Predicted ns. A block's stages arrive at 48 B a clock from L2 and are multiplied meanwhile; then a
-- warp selects its tokens one by one. Assumed: 2 us a launch, 800 ns until the first stage is there.
local function predict(p, c, d)
    local clock = d.clock / 1000
    local warps = math.max(1, math.min(d.smem_sm // (shared_bytes(p, c) + 1024), 48 // c.warps)) * c.warps
    local resident = warps // c.warps
    local waves = math.ceil(blocks(p, c) / (d.sms * resident))
    local sharing = math.min(resident, math.max(1, blocks(p, c) / d.sms))
    local width = c.split > 0 and c.be or moe.align(p.e, c.be)
    local depth = p.d / math.max(1, c.split)
    local copy = (width + moe.ceil_div(width, c.be) * c.bt) * depth * p.xbytes / 48
    local work = 2 * width * c.bt * depth / (d.tensor_rate * 0.5) * (p.x == "f32" and 6 or 1)
    local latency = depth / bk(p, c) * moe.ceil_div(width, c.be) * (c.stages > 2 and 250 or 450)
    local gemm = 800 + math.max(copy * sharing, work * sharing, latency) / clock
    local choice = (400 + p.k * (110 + moe.ceil_div(p.e, 32) * 8)) / clock
    local one = math.ceil((c.split > 0 and c.warps or c.bt) / c.warps)
    local memory = (p.t * p.d * p.xbytes + p.e * p.d * p.xbytes) / (0.9 * d.bandwidth)
    if c.split == 0 then
        return 2000 + math.max(memory, waves * (gemm + math.min(one, p.t) * choice))
    end
    local partial = 2 * c.split * p.t * p.e * 4 / (2 * d.bandwidth)
    local select_waves = math.ceil(p.t / c.warps / (d.sms * math.max(1, 32 // c.warps)))
    return 4000 + math.max(memory, waves * gemm) + partial + select_waves * (1500 + choice)
end

return moe.template {
    name = "route",
    op = { "route" },
    arch = { 80, 120 },
    params = {
        { "bt", { 8, 16, 32, 64, 128 } },
        { "be", { 16, 32, 64, 128 } },
        { "bk", { 64, 128 } },
        { "stages", { 2, 3, 4 } },
        { "warps", { 4, 8 } },
        { "split", { 0, 1, 2, 4, 8 } },
    },

    require = legal,

    -- The best by the prediction, of few candidates.
    default = function(p, d)
        local best, best_ns
        for _, bt in ipairs { 8, 16, 32, 64 } do
            for _, be in ipairs { 16, 32, 64, 128 } do
                for _, split in ipairs { 0, 1, 4, 8 } do
                    for _, stages in ipairs { 4, 3, 2 } do
                        local c = { bt = bt, be = be, bk = split > 0 and 128 or 64, stages = stages,
                                    warps = 8, split = split }
                        if be < 32 then c.warps = 4 end
                        local ns = legal(p, c, d) and predict(p, c, d)
                        if ns and (not best or ns < best_ns) then best, best_ns = c, ns end
                    end
                end
            end
        end
        return best
    end,

    launch = function(p, c, d)
        local threads = c.warps * 32
        if c.split == 0 then
            return {
                kernels = { { grid = { "tokens", c.bt }, block = threads, smem = shared_bytes(p, c) } },
                align = 1, deterministic = true, scratch = { fixed = 0, token = 0, block = 0 },
            }
        end
        return {
            kernels = {
                { name = "logits", grid = { "tokens", c.bt, moe.ceil_div(p.e, c.be) * c.split },
                  block = threads, smem = shared_bytes(p, c) },
                { name = "select", grid = { "tokens", c.warps }, block = threads,
                  smem = select_bytes(p, c) },
            },
            align = 1, deterministic = true,
            scratch = { fixed = 0, token = c.split * p.e * 4, block = 0 },
        }
    end,

    cost = function(p, c, d)
        return {
            flops = 2 * p.t * p.d * p.e,
            bytes = (p.t + p.e) * p.d * p.xbytes + p.t * p.k * 8,
            ns = predict(p, c, d),
        }
    end,
}
