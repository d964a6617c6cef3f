-- neurons.lua - everything behind a router whose experts are single neurons: each token's rows are
-- looked up, y = sum of weight * act(up_e . x) * down_e.
--
--   threads  of a block
--   flight   rows that a warp, or a thread of the sums, has on the way at once
--   split    0: one kernel, a block a token. n: for few tokens; each warp makes the product of one
--            neuron, and in a second kernel n blocks share a token's columns

local loads = moe.use("loads.lua")

local MOST_WIDTH = 65536 -- bytes of a token in shared memory

local function chunks(p) return p.d * p.xbytes // 16 end

-- Threads that have columns of y side by side; groups of them share the slots.
local function columns(p, c)
    return math.min(c.threads, moe.ceil_div(chunks(p), math.max(1, c.split)))
end
local function groups(p, c) return math.min(c.threads // columns(p, c), p.k) end

-- Values (act=none) have nothing to multiply x with.
local function multiplies(p) return p.up_rows > 0 end

-- Neurons whose products a warp makes at once, and rounds or blocks that a token's take.
local function dots(c) return c.split > 0 and 1 or c.flight end
local function shares(p, c) return moe.ceil_div(p.k, c.threads // 32 * dots(c)) end

local function x_bytes(p) return multiplies(p) and p.d * p.xbytes or 0 end

local function legal(p, c, d)
    if c.split > 1 and chunks(p) < 16 * c.split then
        return false, "a part of a row is narrower than 256 bytes"
    end
    if c.threads >= 2 * 32 * p.k and c.threads > 128 then
        return false, "more warps than a token has neurons"
    end
    return true
end

-- Different neurons that T tokens use. Of zipf as many as of uniform: more than there will be.
local function distinct(p)
    local alive = ({ one = p.k, empty = p.e / 4 })[p.routing] or p.e
    return alive * (1 - (1 - math.min(1, p.k / alive)) ^ p.t)
end

-- Bytes of a neuron's rows.
local function row_bytes(p) return p.d * p.wbytes * (multiplies(p) and 2 or 1) end

-- Predicted ns. Each neuron comes from DRAM once, at random, or from L2; an SM takes 64 bytes a
-- clock; and a token's block waits for its rows, `flight` of each warp at once, 900 ns a round.
local function predict(p, c, d, b)
    local clock, bytes = d.clock / 1000, p.t * p.k * row_bytes(p)
    local memory = distinct(p) * row_bytes(p) / (0.75 * d.bandwidth)
    local l2 = bytes / (2.5 * d.bandwidth)
    local blocks = p.t * math.max(1, c.split) -- of the sums; of the products `first`
    local first = c.split > 0 and p.t * shares(p, c) or blocks
    local at_once = d.sms * (b and b.blocks[1] or moe.occupancy(d, c.threads, 64, 0))
    local sm = p.t * p.k * p.d * p.wbytes / 64 / clock
        * (1 / math.min(d.sms, blocks) + (multiplies(p) and 1 / math.min(d.sms, first) or 0))
    local products = multiplies(p) and (c.split > 0 and 1 or shares(p, c)) or 0
    local sums = moe.ceil_div(moe.ceil_div(p.k, groups(p, c)), c.flight)
    local wide = moe.ceil_div(chunks(p), 32) * 40 / clock
    local chain = math.ceil(blocks / at_once) * (products * (900 + wide) + sums * 900)
    local launches = (c.split > 0 and multiplies(p)) and 2 or 1
    return launches * loads.launch(d) + loads.soft_max(memory, l2, sm, chain)
end

return moe.template {
    name = "neurons",
    op = { "neurons" },
    arch = { 80, 120 },
    params = {
        { "threads", { 128, 256, 512 } },
        { "flight", { 1, 2, 4, 8 } },
        { "split", { 0, 1, 2, 4, 8, 16 } },
    },
    supports = function(p, d)
        if p.gated then return false, "a neuron has no gate" end
        return p.d * p.xbytes <= MOST_WIDTH, "a token does not fit shared memory"
    end,
    require = legal,

    default = function(p, d)
        return loads.best(0.98, function(try)
            for _, threads in ipairs { 256, 128, 512 } do
                for _, flight in ipairs { 4, 2, 1, 8 } do
                    for _, split in ipairs { 0, 1, 2, 4, 8, 16 } do
                        try { threads = threads, flight = flight, split = split }
                    end
                end
            end
        end, function(c) return legal(p, c, d) and predict(p, c, d) end)
    end,

    launch = function(p, c, d)
        local overlap = d.sm >= 90
        local kernels = {}
        if c.split > 0 and multiplies(p) then
            kernels[1] = { name = "dots", grid = { "tokens", 1, shares(p, c) }, block = c.threads,
                           smem = x_bytes(p), overlap = overlap }
        end
        kernels[#kernels + 1] = {
            name = "sums", grid = { "tokens", 1, math.max(1, c.split) }, block = c.threads,
            smem = c.split == 0 and x_bytes(p) or 0, overlap = overlap,
        }
        local scratch = #kernels == 2 and p.k * 4 or 0
        return { kernels = kernels, align = 1, deterministic = true,
                 scratch = { fixed = 0, token = scratch, block = 0 } }
    end,

    cost = function(p, c, d, b)
        return {
            flops = p.t * p.k * (multiplies(p) and 4 or 2) * p.d,
            bytes = distinct(p) * row_bytes(p) + 2 * p.t * p.d * p.xbytes + p.t * p.k * 8,
            ns = predict(p, c, d, b),
        }
    end,
    lib = { columns = columns, groups = groups, multiplies = multiplies, dots = dots },
}
