-- loads.lua - what templates' cost functions share: what rows that spread over experts make of
-- tiles, what the start of a kernel and a stream of bytes take, and how several limits combine.

-- The work of the op at the expected loads: rows kept, experts that get any, row tiles of bm, and
-- times that an expert's weights are walked (once for every stripe).
local function work(p, bm, group)
    local w = {rows = 0, experts = 0, tiles = 0, walks = 0}
    for _, load in ipairs(moe.loads(p)) do
        local n, rows, alive = load[1], load[2], load[3]
        local tiles = math.max(alive, rows > bm / 2 and rows / bm + 0.5 or 0)
        w.rows = w.rows + n * rows
        w.experts = w.experts + n * alive
        w.tiles = w.tiles + n * tiles
        w.walks = w.walks + n * math.max(alive, math.ceil(tiles / group))
    end
    return w
end

-- The config of the least time among those that each(try) tries; a later one must take less than
-- `share` of the least so far. ns(c) is false or nil where c is not legal; try(c) returns it.
local function best(share, each, ns)
    local found, least
    each(function(c)
        local time = ns(c)
        if time and (not found or time < share * least) then found, least = c, time end
        return time
    end)
    return found
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

-- ns from the end of the kernel ahead to the first instructions of the next: where both overlap,
-- its blocks are there already, but only the end of all others lets them pass.
local function launch(d) return d.sm >= 90 and 1000 or 2000 end

-- ns of a kernel that streams `bytes` from DRAM with `flying` bytes under way, behind its launch:
-- the tables and the first copies take a round trip each, before which nothing streams; no stream
-- is faster than its bytes in the 800 ns that DRAM takes to answer (Little's law).
local function stream(d, bytes, flying)
    local slow = soft_max(1, d.bandwidth * 800 / flying)
    return launch(d) + 1500 + bytes / (d.bandwidth * 0.92) * slow
end

-- Of wgmma kernels on an H100. Of the data sheet's tensor rate, what large library GEMMs reach (798
-- of
-- 949 TFLOP/s at its clock); bytes a clock that L2 sends to each SM when neighbours ask for the
-- same tiles, which published 128 x 256 kernels without multicast need at 778 TFLOP/s (39), and a
-- little more, and those that one SM takes in. Clocks, all of them round figures: from a stage's
-- copies being asked for to its first byte; of a stage's barriers and fences; to drain the tensor
-- cores and start the next tile's sums; of a kernel before it asks for its first stage.
local hopper = {tensor_share = 0.84, l2_rate = 44, port = 64, latency = 600, step = 10, drain = 500,
                start = 2600}

-- Clocks until a stage of `bytes` that was asked for is there.
local function arrival(bytes) return hopper.latency + bytes / hopper.port end

-- Clocks from step to step of K where a product takes `step`: a stage is asked for again once it
-- has been multiplied, and has to be there when its turn comes.
local function turn(step, bytes, stages)
    return soft_max(step, (arrival(bytes) + step) / stages)
end

return {work = work, best = best, l2_rate = l2_rate, soft_max = soft_max, launch = launch,
        stream = stream, hopper = hopper, arrival = arrival, turn = turn}
