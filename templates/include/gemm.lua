-- gemm.lua - what templates of expert GEMMs share: the sides of the products, and the work that
-- they are at the expected loads.

-- Rows of x or h times rows of weights: `halves`, gate and up rows where there are both; depth, the
-- elements of K; width, the columns of the result, which down_combine adds up (`summed`).
local function sides(p)
    local s = {up = p.kind == "gemm_up", summed = p.kind == "down_combine"}
    s.halves = s.up and p.gated and 2 or 1
    s.depth = s.up and p.d or p.f
    s.width = s.up and p.f or p.d
    return s
end

-- FLOPs, least bytes to move, and bytes of an expert's weights; `w` is of loads.work.
local function moved(p, s, w)
    local weight_rows = s.width * s.halves
    local weights = weight_rows * s.depth * p.wbytes
    local inputs = s.up and math.min(p.t, w.rows) or w.rows
    local outputs = s.summed and p.t or w.rows
    return 2 * w.rows * weight_rows * s.depth,
           w.experts * weights + (inputs * s.depth + outputs * s.width) * p.xbytes, weights
end

return {sides = sides, moved = moved}
