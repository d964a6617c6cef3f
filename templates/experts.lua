-- experts.lua - everything behind the router in one persistent kernel, for few tokens, on sm_90a.
--
-- Parameters: n rows of x and h a tile; stages of the ring, 64 elements of K each. A tile has 128
-- rows of weights: 64 gate rows and the 64 up rows that pair with them, or 128 of one kind.

local loads = moe.use("loads.lua")
local weights_box = moe.use("weights_box.lua")

local BK, ROWS, MOST_SLOTS = 64, 128, 256

local function shape(p, c)
    local s = {}
    s.halves = p.gated and 2 or 1
    s.up_n = ROWS // s.halves
    s.up_blocks = moe.ceil_div(p.f, s.up_n)
    s.down_blocks = moe.ceil_div(p.d, ROWS)
    s.up_steps = moe.ceil_div(p.d, BK)
    s.down_steps = moe.ceil_div(p.f, BK)
    s.stage = (ROWS * p.wbytes + c.n * p.xbytes) * BK
    s.tables = 8 * MOST_SLOTS * 4
    s.smem = c.stages * s.stage + s.tables + c.stages * 16 + 1024 -- and room to align the ring
    return s
end

local function require_(p, c, d)
    return shape(p, c).smem <= d.smem, "more shared memory than a block can have"
end

-- A ranking estimate: the experts' weights stream once at the bytes under way, or the busiest SM's
-- steps are the limit. Before the first bytes come the launch and the maps, which every block
-- makes; between the halves of the work the stream does not stop, as weights wait for nobody;
-- behind it come the last flags and the sums. Clocks of latencies are round figures.
local function cost(p, c, d)
    local s = shape(p, c)
    local w = loads.work(p, c.n, 1 << 20)
    local flops = 2 * w.rows * p.d * (p.up_rows + p.f)
    local bytes = w.experts * p.d * (p.up_rows + p.f) * p.wbytes + 2 * p.t * p.d * p.xbytes
    local flying = d.sms * ROWS * BK * p.wbytes * c.stages

    local steps = w.tiles * (s.up_blocks * s.up_steps + s.down_blocks * s.down_steps)
    local items = w.tiles * (s.up_blocks + s.down_blocks)
    local step = loads.soft_max(s.stage / 64, 160, 0.8 * d.clock / c.stages)
    local clocks = steps / d.sms * step + math.ceil(items / d.sms) * (300 + c.n * 12)
    local slots = p.t * p.k
    local edges = 1000 + slots * slots * 9 / 192 / (d.clock / 1000) + 1500
    local ns = edges + loads.soft_max(loads.stream(d, bytes, flying), clocks * 1000 / d.clock)
    return {flops = flops, bytes = bytes, ns = ns}
end

-- The best by cost, with as many stages as fit.
local function default(p, d)
    return loads.best(0.98, function(try)
        for _, n in ipairs{8, 16, 32} do
            for _, stages in ipairs{12, 8, 6, 4} do
                if try{n = n, stages = stages} then break end
            end
        end
    end, function(c) return require_(p, c, d) and cost(p, c, d).ns end)
end

return moe.template{
    name = "experts",
    op = "experts",
    arch = {90, 90},
    max_slots = MOST_SLOTS,
    params = {
        {"n", {8, 16, 32}},
        {"stages", {4, 6, 8, 10, 12}},
    },
    supports = function(p, d)
        if p.x == "f32" then return false, "wgmma has no fp32 inputs" end
        if p.priority ~= "order" then return false, "it keeps rows by token order only" end
        if p.drop ~= "plain" then return false, "it leaves weights as they are" end
        if p.shared_experts > 0 then return false, "its maps have no shared experts" end
        if p.d > 65536 then return false, "more columns of y than there are flags" end
        return d.arch == "sm_90a", "its instructions need the target sm_90a"
    end,
    require = require_,
    default = default,
    launch = function(p, c, d)
        local s = shape(p, c)
        return {
            kernels = {{grid = {"sms", 1}, block = 192, smem = s.smem, overlap = true,
                        cooperative = true}},
            maps = {weights_box.up(p, BK, s.up_n)[1], weights_box.down(p, BK, ROWS)[1]},
        }
    end,
    cost = cost,
    lib = {
        shape = shape,
        most_slots = MOST_SLOTS,
        columns = function(p, c) return {c.n} end,
    },
}
