-- up_rows.lua - the box of a bulk copy of up weights: bk of K by some columns, both halves of them in
-- one box unless the layout interleaves their rows.

local function box(p, bk, columns)
    if p.layout == "interleaved" then return {bk, 1, columns, 1} end
    return {bk, columns, p.gated and 2 or 1, 1}
end

return {box = box}
