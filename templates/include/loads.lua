-- loads.lua - what templates' cost functions share: how rows spread over experts, what that makes of
-- tiles, and how several limits combine.

-- A token takes the k largest of log(1/rank) and a Gumbel number each, so an expert is chosen with
-- 1 - exp(-popularity / rank), where the popularity is such that these add up to k (Newton's steps
-- from below; where k is close to e, they stop at a large one).
local function zipf_popularity(e, k)
    local popularity = 0
    for _ = 1, 12 do
        local sum, slope = 0, 0
        for rank = 1, e do
            local missed = math.exp(-popularity / rank)
            sum, slope = sum + 1 - missed, slope + missed / rank
        end
        if k - sum < 1e-6 * k then break end
        popularity = popularity + (k - sum) / slope
    end
    return popularity
end

-- Rows that each expert may expect, as a list of {experts, rows of each}.
local function expected(p)
    local rows, e = p.t * p.k, p.e
    local list
    if p.routing == "one" then
        list = {{p.k, p.t}}
    elseif p.routing == "empty" then
        local alive = math.max(p.k, (e + 1) // 2)
        list = {{alive, rows / alive}}
    elseif p.routing == "zipf" then
        list = {}
        local popularity = zipf_popularity(e, p.k)
        for i = 1, e do list[i] = {1, p.t * (1 - math.exp(-popularity / i))} end
    else
        list = {{e, rows / e}}
    end
    local factor = tonumber(p.capacity)
    if factor then
        local capacity = math.ceil(rows * factor / e)
        for _, load in ipairs(list) do load[2] = math.min(load[2], capacity) end
    end
    return list
end

-- The work of the op at the expected loads: rows kept, experts that get any, row tiles of bm, and
-- times that an expert's weights are walked (once for every stripe).
local function work(p, bm, group)
    local w = {rows = 0, experts = 0, tiles = 0, walks = 0}
    for _, load in ipairs(expected(p)) do
        local n, rows = load[1], load[2]
        local alive = 1 - math.exp(-rows) -- of a Poisson count
        local tiles = math.max(alive, rows > bm / 2 and rows / bm + 0.5 or 0)
        w.rows = w.rows + n * rows
        w.experts = w.experts + n * alive
        w.tiles = w.tiles + n * tiles
        w.walks = w.walks + n * math.max(alive, math.ceil(tiles / group))
    end
    return w
end

-- Bytes a clock that L2 sends to each SM when all ask at once; from published measurements.
local function l2_rate(d)
    return d.sm == 80 and 32 or (d.sm == 90 or d.sm == 100) and 26 or 16
end

-- A maximum that grows a little when several arguments are large, as overlap is never perfect.
local function soft_max(...)
    local sum = 0
    for _, v in ipairs({...}) do sum = sum + v ^ 4 end
    return sum ^ 0.25
end

return {expected = expected, work = work, l2_rate = l2_rate, soft_max = soft_max}
