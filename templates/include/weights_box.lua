-- weights_box.lua - maps for bulk copies of weights, in boxes of bk of K by some columns, swizzled
-- by their rows' length. A box of up holds both halves of its columns, unless only one is asked for
-- or the layout interleaves their rows. Where there is a shared expert, its map follows.

local function with_shared(p, name, box, shared_box)
    local swizzle = 2 * box[1]
    return {{name, box, swizzle},
            p.shared_experts > 0 and {"shared_" .. name, shared_box, swizzle} or nil}
end

local function up(p, bk, columns, one_half)
    if p.layout == "interleaved" then
        return with_shared(p, "up", {bk, 1, columns, 1}, {bk, 1, columns, 1})
    end
    local halves = p.gated and not one_half and 2 or 1
    return with_shared(p, "up", {bk, columns, halves, 1}, {bk, columns, 1, halves})
end

local function down(p, bk, columns)
    return with_shared(p, "down", {bk, columns, 1}, {bk, 1, columns})
end

return {up = up, down = down}
