-- split.lua - what templates share of which blocks may share a tile, each with a part of K (see
-- split.cuh): how such kernels are launched, how many blocks run at once, and what meeting costs.

local loads = moe.use("loads.lua")

local VALUES = {1, 2, 4, 8}

-- Round figures: ns of two barriers of a cluster with reads of its shared memory between, which
-- take some 200 clocks each; and of a kernel that adds sums from scratch, behind its launch.
local MEETING, ADDING = 400, 1200

-- Whether the sums of shares meet before anything is made of them. down_combine needs no meeting:
-- it adds parts of rows anyway, see arrivals.cuh.
local function meets(p, c) return c.split > 1 and p.kind ~= "down_combine" end

-- Where they meet: in shared memory of a cluster or, before there were clusters, in scratch.
local function clustered(p, c, d) return meets(p, c) and d.sm >= 90 end
local function scratched(p, c, d) return meets(p, c) and d.sm < 90 end

-- The launch of `main`, of which the grid has a block for every share; a block makes so many sums.
local function launch(p, c, d, main, sums)
    main.cluster = clustered(p, c, d) and c.split or 1
    if not scratched(p, c, d) then return {kernels = {main}} end
    main.name = "share"
    local rule, rows, blocks = table.unpack(main.grid)
    local add = {name = "add", grid = {rule, rows, blocks // c.split}, block = main.block}
    return {kernels = {main, add}, scratch = {block = sums * 4}}
end

-- Blocks that run at once, `each` of them on an SM. A cluster keeps to a group of 16 or 18 SMs, of
-- which some are left over unless it is a pair.
local function resident(p, c, d, each)
    local sms = clustered(p, c, d) and c.split > 2 and math.max(8, d.sms // 16 * 16) or d.sms
    return sms * each
end

-- ns from a share's last sum to its tile's total, where `blocks` make so many sums each.
local function meeting(p, c, d, blocks, sums)
    if clustered(p, c, d) then return MEETING end
    if not scratched(p, c, d) then return 0 end
    local l2 = 2 * blocks * sums * 4 / (d.sms * loads.l2_rate(d)) -- clocks
    return loads.launch(d) + ADDING + l2 * 1000 / d.clock
end

return {values = VALUES, meets = meets, clustered = clustered, scratched = scratched,
        launch = launch, resident = resident, meeting = meeting}
