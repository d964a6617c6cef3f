-- route_peer.lua - product keys: heads take the best of keys^2 experts by two halves of a query.
--
--   bt, be, bk, stages, warps, split  of the queries' GEMM, as in `route` with split > 0
--   tokens    of a block that multiplies queries with keys
--   rows      of keys that it multiplies at once
--   parts     blocks that share the keys of a half
--   scanners  warps of such a block

local loads = moe.use("loads.lua")
local router = moe.use("route.lua")

local RING = 2 -- tiles of keys: one is multiplied while the next one comes

local function keep(p) return p.k // p.router_heads end
local function half(p) return p.router_key_width // 2 end

-- The queries' GEMM as that of a router with as many experts.
local function queries(p)
    return { d = p.d, e = p.router_heads * p.router_key_width, k = 1, x = p.x, xbytes = p.xbytes,
             router_w = p.router_w, router_wbytes = p.router_wbytes, router_noise = 0,
             router_jitter_input = 0 }
end
local function queries_at(p)
    local q = queries(p)
    q.t = p.t
    return q
end

-- Keys of a part, a multiple of a tensor core's rows.
local function part(p, c) return moe.align(moe.ceil_div(p.router_keys, c.parts), 16) end

-- Sums of keys a x keys b that can be among the best `keep`: those with (a + 1) * (b + 1) <= keep,
-- as each has so many that are no less.
local function pairs_of(p)
    local count = 0
    for a = 1, keep(p) do count = count + keep(p) // a end
    return count
end

-- Bytes of a half's query in shared memory: 16-bit ones are two numbers, f32 is one.
local function query_bytes(p, c) return c.tokens * half(p) * 4 end
local function tile_bytes(p, c) return c.rows * half(p) * p.wbytes end
local function scan_bytes(p, c)
    return query_bytes(p, c) + RING * tile_bytes(p, c) + c.tokens * (part(p, c) + 4) * 4
        + c.scanners * 64 * 8
end

-- Warps that share the tokens of a tile, where its rows are too few for all.
local function across(c) return math.max(1, c.scanners // (c.rows // 16)) end

local function legal(p, c, d)
    if c.split == 0 then return false, "slices of the queries are added by those who use them" end
    if c.tokens // 8 % across(c) ~= 0 or c.rows // 16 % (c.scanners // across(c)) ~= 0 then
        return false, "the warps do not share a tile evenly"
    end
    if c.parts > 1 and p.router_keys - (c.parts - 1) * part(p, c) < keep(p) then
        return false, "a part has fewer keys than a head keeps"
    end
    if c.rows > 16 and c.rows >= 2 * part(p, c) then
        return false, "the tile is larger than a part"
    end
    if scan_bytes(p, c) > d.smem then
        return false, "queries, keys and their products do not fit shared memory"
    end
    return router.gemm_legal(queries(p), c, d)
end

-- Predicted ns of the scan: keys come from L2 at 32 B a clock and SM, the products run at half of
-- the tensor peak, twice for 16 bits and six times for f32, a warp waits 600 cycles for a tile and
-- issues its products, and then selects its tokens one by one.
local function scan(p, c, d, b)
    local clock = d.clock / 1000
    local sides = p.router_heads * 2
    local blocks = moe.ceil_div(p.t, c.tokens) * sides * c.parts
    local at_once = b and b.blocks[2]
        or math.max(1, moe.occupancy(d, c.scanners * 32, 0, scan_bytes(p, c)))
    local waves = math.ceil(blocks / (d.sms * at_once))
    local sharing = math.max(1, math.min(at_once, blocks / d.sms))
    local copy = part(p, c) * half(p) * p.wbytes / 32
    local work = 2 * part(p, c) * c.tokens * half(p) / (d.tensor_rate * 0.5)
        * (p.x == "f32" and 6 or 2)
    local steps = moe.ceil_div(part(p, c), c.rows)
    local products = c.rows // 16 * (c.tokens // 8) / c.scanners * (p.x == "f32" and 8 or 2)
    local chain = steps * (600 + half(p) * p.wbytes // 32 * (20 + 10 * products))
    local each = moe.ceil_div(math.min(c.tokens, p.t), c.scanners)
    local choice = 500 + part(p, c) // 32 * 12 + keep(p) * 60
    local bytes = 2 * c.split * p.t * p.router_heads * p.router_key_width * 4 / (2 * d.bandwidth)
    return bytes + waves * (800 + (loads.soft_max(copy * sharing, work * sharing, chain)
        + each * choice * sharing) / clock)
end

-- Of the merge: a warp a head.
local function merge(p, c, d)
    local warps = p.t * p.router_heads
    local cycles = 1500 + (c.parts > 1 and 2 or 0) * keep(p) * 60 + keep(p) * 60
    return math.ceil(warps / (d.sms * 32)) * cycles / (d.clock / 1000)
end

local function predict(p, c, d, b)
    return router.first_kernel(queries_at(p), c, d, b) + scan(p, c, d, b) + merge(p, c, d)
        + 2 * loads.launch(d)
end

-- Calls try(c) for common choices, with the best GEMM.
local function common(p, d, try)
    local q = queries_at(p)
    local first = loads.best(1, router.common, function(c)
        return c.split > 0 and router.gemm_legal(q, c, d) and router.first_kernel(q, c, d)
    end)
    for _, tokens in ipairs { 8, 16, 32, 64 } do
        for _, rows in ipairs { 64, 32, 16 } do
            for _, parts in ipairs { 1, 2, 4, 8 } do
                for _, scanners in ipairs { 4, 8, 2, 1 } do
                    local c = { tokens = tokens, rows = rows, parts = parts, scanners = scanners }
                    for name, value in pairs(first) do c[name] = value end
                    try(c)
                end
            end
        end
    end
end

return moe.template {
    name = "route_peer",
    op = { "route" },
    arch = { 80, 120 },
    params = {
        { "bt", { 8, 16, 32, 64 } },
        { "be", { 16, 32, 64, 128 } },
        { "bk", { 128 } },
        { "stages", { 2, 4 } },
        { "warps", { 4, 8 } },
        { "split", { 1, 2, 4, 8 } },
        { "tokens", { 8, 16, 32, 64 } },
        { "rows", { 16, 32, 64 } },
        { "parts", { 1, 2, 4, 8 } },
        { "scanners", { 1, 2, 4, 8 } },
    },
    supports = function(p, d)
        return p.router_rule == "peer", "it has no rule but peer"
    end,
    require = legal,

    default = function(p, d)
        return loads.best(1, function(try) common(p, d, try) end, function(c)
            return legal(p, c, d) and predict(p, c, d)
        end)
    end,

    launch = function(p, c, d)
        local overlap, sides = d.sm >= 90, p.router_heads * 2
        local width = p.router_heads * p.router_key_width
        return {
            kernels = {
                { name = "queries", grid = { "tokens", c.bt, moe.ceil_div(width, c.be) * c.split },
                  block = c.warps * 32, smem = router.shared_bytes(queries(p), c),
                  overlap = overlap },
                { name = "scan", grid = { "tokens", c.tokens, sides * c.parts },
                  block = c.scanners * 32, smem = scan_bytes(p, c), overlap = overlap },
                { name = "merge", grid = { "tokens", 1 }, block = 32 * math.min(8, p.router_heads),
                  overlap = overlap },
            },
            align = 1, deterministic = true,
            scratch = { fixed = 0, token = c.split * width * 4 + sides * c.parts * keep(p) * 8,
                        block = 0 },
        }
    end,

    cost = function(p, c, d, b)
        local width = p.router_heads * p.router_key_width
        return {
            flops = 2 * p.t * width * (p.d + p.router_keys),
            bytes = (p.t * p.xbytes + width * p.wbytes) * p.d + width * p.router_keys * p.wbytes
                + p.t * p.k * 8,
            ns = predict(p, c, d, b),
        }
    end,
    lib = { keep = keep, half = half, part = part, pairs_of = pairs_of, across = across,
            ring = RING },
}
