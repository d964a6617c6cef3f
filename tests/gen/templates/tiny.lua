-- tiny.lua - a template with a little of everything, for the tests of the generator.
local function threads(c) return c.warps * 32 end

return moe.template{
    name = "tiny",
    op = {"gemm_up", "combine"},
    arch = {80, 120},
    params = {
        {"bm", {16, 32, 64}},
        {"warps", {1, 2, 4}},
        {"unroll", {0, 1}},
    },
    supports = function(p, d)
        return p.x ~= "f32", "there is no f32"
    end,
    require = function(p, c, d)
        if c.bm // 16 < c.warps then return false, "a warp needs 16 rows" end
        if c.bm * p.xbytes * 8 > d.smem then return false, "too much shared memory" end
        return true
    end,
    default = function(p, d)
        return {bm = p.t > 64 and 64 or 16, warps = 1, unroll = 0}
    end,
    launch = function(p, c, d)
        local kernels = {{grid = {"rows", c.bm}, block = threads(c), smem = c.bm * p.xbytes * 8}}
        if c.unroll == 1 then
            kernels[1].name = "first"
            kernels[2] = {name = "second", grid = {"sms", 2}, block = 64, cluster = 2}
        end
        return {kernels = kernels, align = c.bm, scratch = {token = 4 * p.k}}
    end,
    cost = function(p, c, d, b)
        local rounds = b and 4 / b.blocks[1] + b.registers[#b.blocks] or 1
        return {flops = 2 * p.t * p.d, bytes = p.t * p.d * p.xbytes, ns = p.t / c.bm * rounds}
    end,
    lib = {threads = threads},
}
