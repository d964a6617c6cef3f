-- route.lua - what templates with a router share: the router's parameters, what is legal, how much
-- shared memory it takes and how long. The parameters are explained in the template `route`.

local loads = moe.use("loads.lua")

-- Elements of K of a stage.
local function bk(p, c) return c.bk * 2 // p.router_wbytes end
local function stage_bytes(p, c)
    return (c.be * p.router_wbytes + c.bt * p.xbytes) * bk(p, c)
end
local function ring_bytes(p, c) return c.stages * stage_bytes(p, c) end

-- The narrowest tile that holds all experts, or the widest.
local function most(p)
    local be = 16
    while be < p.e and be < 512 do be = be * 2 end
    return be
end

-- Matrices that x is multiplied with: router_noise is a second one.
local function routers(p) return p.router_noise > 0 and 2 or 1 end

-- fp32 sums that a thread keeps; f32 weights take a second set, see multiply_stage.
local function sums(p, c)
    local tiles = c.be // 16 // math.min(c.warps, c.be // 16) * (c.bt // 8)
    return tiles * 4 * (p.router_w == "f32" and 2 or 1)
end

-- Bytes of shared memory: of the one kernel or of `logits`; of `select`.
local function shared_bytes(p, c)
    if c.split > 0 then
        return math.max(ring_bytes(p, c), c.bt * (c.be + 4) * 4)
    end
    local logits = c.bt * (moe.align(p.e, 16) * routers(p) + 4) * 4
    local both = p.e <= c.be and routers(p) == 1 and math.max(ring_bytes(p, c), logits) or
        ring_bytes(p, c) + logits
    return both + p.e * 4 + c.bt * 8
end
local function select_bytes(p, c) return (c.warps + 1) * p.e * 4 + c.warps * 8 end

-- Rules of one word have templates of their own.
local function supports(p)
    return p.router_rule == "topk", "it has no rule " .. p.router
end

-- Whether logits are those of one product, with x as it is.
local function plain(p)
    return p.router_noise == 0 and p.router_jitter_input == 0, "it draws no noise and no jitter"
end

-- The kernels of a launch, behind the one of jitter.cuh where the rule asks for it.
local JITTER_THREADS = 128
local function behind_jitter(p, d, kernels)
    if p.router_jitter_input > 0 then
        table.insert(kernels, 1, { name = "jitter", grid = { "tokens", 1 }, block = JITTER_THREADS,
                                   overlap = d.sm >= 90 })
    end
    return kernels
end

-- Of the GEMM alone.
local function gemm_legal(p, c, d)
    local tiles = c.be // 16
    local warps_e = math.min(c.warps, tiles)
    if c.be > most(p) then
        return false, "the tile has more experts than the layer"
    end
    if bk(p, c) * p.xbytes // 32 % (c.warps // warps_e) ~= 0 then
        return false, "the warps do not share a stage evenly"
    end
    if sums(p, c) > (c.warps > 8 and 64 or 128) then
        return false, "too many sums a thread"
    end
    if c.warps == 16 and c.be < 128 then
        return false, "too little work for the warps"
    end
    if c.split == 0 and c.be < math.min(most(p), 128) then
        return false, "one kernel takes wide tiles"
    end
    if c.split == 0 and (c.bk == 64) ~= (c.stages > 2) and c.stages ~= 3 then
        return false, "one kernel has three stages, two long or four short ones"
    end
    if c.split > 0 and (c.bt > 64 or c.be > 128 or c.warps > 8 or c.bk ~= 128 or c.stages == 3) then
        return false, "split is for few tokens and deep stages"
    end
    if c.split > moe.ceil_div(p.d, bk(p, c)) then
        return false, "more slices than stages of K"
    end
    return shared_bytes(p, c) <= d.smem, "stages and logits do not fit shared memory"
end

local function legal(p, c, d)
    if c.split > 0 and select_bytes(p, c) > d.smem then
        return false, "stages and logits do not fit shared memory"
    end
    return gemm_legal(p, c, d)
end

-- Blocks of the GEMM that share a tile of tokens.
local function shares(p, c)
    return c.split > 0 and moe.ceil_div(p.e, c.be) * routers(p) * c.split or 1
end

local function blocks(p, c) return moe.ceil_div(p.t, c.bt) * shares(p, c) end

-- Blocks that an SM holds at once. Registers: the sums and about 56 more, until `b` tells.
local function resident(p, c, d, b)
    if b then return b.blocks[p.router_jitter_input > 0 and 2 or 1] end
    return math.max(1, moe.occupancy(d, c.warps * 32, sums(p, c) + 56, shared_bytes(p, c)))
end

-- Cycles that a warp takes to select for one token.
local function choice(p) return 400 + p.k * (110 + moe.ceil_div(p.e, 32) * 8) end

-- Issue slots of a warp: of a stage, which are fragments, products and copies; and of a tile's
-- sums, which warps that share K put down one after the other.
local function issue(p, c)
    local row = bk(p, c) * p.xbytes
    local warps_e = math.min(c.warps, c.be // 16)
    local warps_k = c.warps // warps_e
    local tiles_e, tiles_t = c.be // 16 // warps_e, c.bt // 8
    local products = tiles_e * tiles_t * (p.router_w == "f32" and 8 or 1)
    local copies = 6 * moe.ceil_div(stage_bytes(p, c) // 16, c.warps * 32)
    local stage = row // 32 // warps_k * (tiles_e + moe.ceil_div(tiles_t, 2) + products) + copies +
        40
    return stage, warps_k * (tiles_e * tiles_t * 16 + 60)
end

-- Bytes that a stage moves through shared memory: it is written once, and read by the warps, each
-- of which multiplies its own experts with all tokens.
local function passed_bytes(p, c)
    local warps_e = math.min(c.warps, c.be // 16)
    return stage_bytes(p, c) + (c.be * p.router_wbytes + warps_e * c.bt * p.xbytes) * bk(p, c)
end

-- Predicted ns of the first kernel. A block's stages arrive from L2, at 32 B a clock for each SM of
-- the device and at most 64 for one, pass shared memory at 128, and are multiplied meanwhile, at
-- half of the tensor peak; then, if split = 0, each warp selects its tokens one by one. DRAM gives
-- x again for every tile of experts if the blocks at work do not keep it in L2. Assumed: 800 ns
-- until the first stage is there, 150 cycles that a stage's own chain takes, and 900 from a copy's
-- issue to its use, over the stages between. `most`, or nil, is how many blocks there are at most.
local function first_kernel(p, c, d, b, most)
    local clock = d.clock / 1000
    local each = most and moe.ceil_div(blocks(p, c), most) or 1 -- tiles of tokens of a block
    local all, slots = moe.ceil_div(blocks(p, c), each), d.sms * resident(p, c, d, b)
    local waves = math.ceil(all / slots) * each
    local sharing = math.max(1, math.min(all, slots) / d.sms)
    local tiles = c.split > 0 and 1 or moe.ceil_div(p.e, c.be) * routers(p)
    local width, depth = tiles * c.be, p.d / math.max(1, c.split)
    local tokens = math.min(c.bt, p.t)
    local rate = math.min(64, 32 * d.sms / math.min(all, d.sms))
    local copy = (width * p.router_wbytes + tiles * tokens * p.xbytes) * depth / rate
    local products = p.x == "f32" and 6 or p.router_w == "f32" and 4 or 1 -- of 16 bits
    local work = 2 * width * c.bt * depth / (d.tensor_rate * 0.5) * products
    local steps = tiles * depth / bk(p, c)
    local slots_stage, slots_store = issue(p, c)
    local chain = loads.soft_max(150 + slots_stage * math.max(1, c.warps / 4), 900 / (c.stages - 1))
    local gemm = loads.soft_max(copy * sharing, work * sharing, steps * chain,
                                steps * passed_bytes(p, c) / 128 * sharing,
                                steps * slots_stage * c.warps / 4 * sharing)
        + tiles * slots_store
    local again = tiles > 1 and slots * c.bt * p.d * p.xbytes > d.l2 and tiles or 1
    local memory = (p.t * again * p.xbytes + p.e * routers(p) * p.router_wbytes) * p.d
        / (0.9 * d.bandwidth)
    local rounds = c.split == 0 and moe.ceil_div(tokens, c.warps) or 0
    local jitter = p.router_jitter_input > 0
        and loads.launch(d) + 2 * p.t * p.d * p.xbytes / d.bandwidth or 0
    return loads.launch(d) + jitter + loads.soft_max(800 + memory, waves *
                                                     (800 + (gemm + rounds * choice(p)) / clock))
end

-- Predicted ns of the selection from slices by `blocks` blocks at once of `warps` warps, without a
-- launch: what the slices' sums take to write and read, and each warp's tokens one by one. A lane
-- has
-- 16 sums under way, so it takes as many rounds through the L2, of 600 cycles, to have all.
local function selection(p, c, d, blocks, warps)
    local partial = 2 * c.split * p.t * p.e * routers(p) * 4 / (2 * d.bandwidth)
    local rounds = moe.ceil_div(moe.ceil_div(p.e, 32), 16 // c.split)
    local cycles = rounds * 600 + choice(p)
    return partial + moe.ceil_div(p.t, warps * blocks) * cycles / (d.clock / 1000)
end

-- Predicted ns of both.
local function predict(p, c, d, b)
    local first = first_kernel(p, c, d, b)
    if c.split == 0 then return first end
    return first + loads.launch(d) + selection(p, c, d, d.sms * math.max(1, 32 // c.warps), c.warps)
end

-- Calls try(c) for common choices of the router's parameters.
local function common(try)
    for _, bt in ipairs { 8, 16, 32, 64, 128 } do
        for _, be in ipairs { 16, 32, 64, 128, 256, 512 } do
            for _, warps in ipairs { 8, 4, 16 } do
                for _, stages in ipairs { 4, 3 } do
                    try { bt = bt, be = be, bk = 64, stages = stages, warps = warps, split = 0 }
                end
                try { bt = bt, be = be, bk = 128, stages = 2, warps = warps, split = 0 }
                for _, split in ipairs { 1, 4, 8 } do
                    for _, stages in ipairs { 4, 2 } do
                        try { bt = bt, be = be, bk = 128, stages = stages, warps = warps,
                              split = split }
                    end
                end
            end
        end
    end
end

local params = {
    { "bt", { 8, 16, 32, 64, 128 } },
    { "be", { 16, 32, 64, 128, 256, 512 } },
    { "bk", { 64, 128 } },
    { "stages", { 2, 3, 4 } },
    { "warps", { 4, 8, 16 } },
    { "split", { 0, 1, 2, 4, 8 } },
}

-- Of templates whose first kernel has all experts, with split = 0: its parameters, the best of them
-- by the prediction, and that kernel.
local whole = {
    params = {
        { "bt", { 8, 16, 32, 64 } },
        { "be", { 16, 32, 64, 128, 256, 512 } },
        { "bk", { 64, 128 } },
        { "stages", { 2, 3, 4 } },
        { "warps", { 4, 8 } },
        { "split", { 0 } },
    },
    best = function(p, d)
        return loads.best(1, common, function(c)
            return c.split == 0 and c.bt <= 64 and c.warps <= 8 and legal(p, c, d)
                and first_kernel(p, c, d)
        end)
    end,
    kernel = function(p, c, d)
        return { name = "scores", grid = { "tokens", c.bt }, block = c.warps * 32,
                 smem = shared_bytes(p, c), overlap = d.sm >= 90 }
    end,
}

-- The router's parameters, and a template's own behind them.
local function with(first, own)
    local all = {}
    for _, list in ipairs { first, own } do
        for _, param in ipairs(list) do all[#all + 1] = param end
    end
    return all
end

return { params = params, whole = whole, with = with, supports = supports, legal = legal,
         gemm_legal = gemm_legal, predict = predict,
         plain = plain, routers = routers, shares = shares, behind_jitter = behind_jitter,
         common = common, first_kernel = first_kernel, selection = selection, choice = choice,
         shared_bytes = shared_bytes, select_bytes = select_bytes, sums = sums }
