-- thrower.lua - a template that cannot even name its default.
return moe.template {
    name = "thrower",
    op = { "combine" },
    arch = { 80, 120 },
    params = { { "n", { 1 } } },
    default = function() error("no default on purpose") end,
    launch = function() return { kernels = { { grid = { "tokens", 1 }, block = 32 } } } end,
    cost = function() return { flops = 0, bytes = 1, ns = 1 } end,
}
