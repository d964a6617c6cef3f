/* exec_warp.c - what the lanes of a warp, and the warps of a block, do together.
 *
 * A collective names the lanes that take part. It runs when all of them that have not exited stand
 * at it; until then those that came are parked. Lanes that can never meet leave the warp stuck,
 * which block.c reports. */
#include "order/race.h"

#include "exec/exec.h"

/* Lanes that are to go on behind an instruction while others do something else. */
static void pass_by(sim_warp *warp, u32 lanes, u32 pc) {
    for (int i = 0; i < SIM_LANES; i++)
        warp->lane_pc[i] = lanes >> i & 1 ? pc + 1 : warp->lane_pc[i];
    warp->waiting |= lanes;
    warp->active &= ~lanes;
    if (lanes && pc + 1 < warp->next_pc) warp->next_pc = pc + 1;
}

/* Lanes of `here` whose whole mask, exited lanes aside, is among those of `here` with that mask. */
static u32 complete_lanes(const sim_warp *warp, u32 here, const u32 *mask) {
    u32 ready = 0;

    FOR_LANES(lane, here) {
        u32 same_mask = 0;
        if (ready >> lane & 1) continue;
        FOR_LANES(other, here) same_mask |= (u32)(mask[other] == mask[lane]) << other;
        if (!((mask[lane] & ~warp->exited) & ~same_mask)) ready |= same_mask;
    }
    return ready;
}

/* Lanes of `named` that have gone past the collective for good, while `here` wait at it. */
static void report_passed(sim_warp *warp, const sim_instruction *in, u32 here, u32 named,
                          sim_finding_kind kind) {
    sim_block *block = warp->block;
    u32 pc = instruction_pc(warp, in), last = ~0u;

    FOR_LANES(lane, named & warp->waiting) {
        u32 other = warp->lane_pc[lane];
        if (other == last) continue;
        last = other;
        if (!sim_passed_by(block->worker, block->kernel, other, pc)) continue;
        sim_find(warp, kind, in, other,
                 "lanes 0x%08x of block %u warp %u wait at %s (%%p) for lane %u, which has gone "
                 "past it (%%q)",
                 here, block->index, warp->index, block->kernel->text[pc], lane);
    }
}

/* PTX leaves undefined what a lane gets that executes a collective whose mask does not name it. */
static void check_named(sim_warp *warp, const sim_instruction *in, u32 exec, const u32 *mask) {
    u32 unnamed = 0;

    FOR_LANES(lane, exec) unnamed |= ~mask[lane] & 1u << lane;
    if (likely(!unnamed)) return;
    sim_find(warp, SIM_FINDING_mask, in, UINT32_MAX,
             "lanes 0x%08x of block %u warp %u execute %s (%%p) with a mask, 0x%08x, that does not "
             "name them",
             unnamed, warp->block->index, warp->index,
             warp->block->kernel->text[instruction_pc(warp, in)], mask[first_lane(unnamed)]);
}

/* Gathers the lanes of a collective at one instruction. Returns those that run it now; the others
 * are parked. When it is not all of exec that simply goes on, *moved says that the warp's groups
 * have changed. */
static u32 gather(sim_warp *warp, const sim_instruction *in, u32 exec, const u32 *mask,
                  sim_park kind, bool *moved) {
    u32 pc = instruction_pc(warp, in), stay = warp->active & ~exec;
    u32 first = mask[first_lane(exec)], different = 0;

    FOR_LANES(lane, exec) different |= mask[lane] ^ first;
    if (unlikely(different || (exec & ~first))) check_named(warp, in, exec, mask);
    *moved = false;
    if (likely(!different && !stay && !((first & ~warp->exited) & ~exec))) return exec;
    *moved = true;
    pass_by(warp, stay, pc);
    u32 here = exec, ready;
    FOR_LANES(lane, exec) warp->park_mask[lane] = mask[lane];
    FOR_LANES(lane, warp->parked) {
        if (warp->lane_pc[lane] == pc && warp->park_kind[lane] == kind) here |= 1u << lane;
    }
    ready = complete_lanes(warp, here, warp->park_mask);
    u32 park = exec & ~ready, named = 0;
    FOR_LANES(lane, park) {
        warp->lane_pc[lane] = pc;
        warp->park_kind[lane] = (u8)kind;
        named |= mask[lane];
    }
    if (park) report_passed(warp, in, here, named & ~here, SIM_FINDING_collective);
    warp->parked = (warp->parked | park) & ~ready;
    warp->active = ready;
    warp->pc = pc + 1;
    return ready;
}

static void masks_of(const sim_warp *warp, s32 offset, u32 *mask) {
    memcpy(mask, LANES_OF(const u32, warp, offset), SIM_LANES * sizeof *mask);
}

/* A collective's opening: gathers the lanes of the mask operand, or returns from the handler. */
#define GATHER(mask_operand)                                                                       \
    u32 mask[SIM_LANES];                                                                           \
    bool moved;                                                                                    \
    masks_of(warp, mask_operand, mask);                                                            \
    exec = gather(warp, in, exec, mask, SIM_PARK_COLLECTIVE, &moved);                              \
    if (!exec) return SIM_JUMP

#define GATHERED (moved ? SIM_JUMP : SIM_STEP)

/* The lane that a lane reads from, and whether that is inside its segment. */
static u32 shuffle_source(u32 mode, u32 lane, u32 b, u32 c, bool *inside) {
    u32 segment = c >> 8 & 31, clamp = c & 31, by = b & 31;
    s32 last = (s32)((lane & segment) | (clamp & ~segment)), from;

    switch (mode) {
    case 0: /* up */
        from = (s32)lane - (s32)by;
        *inside = from >= last;
        break;
    case 1: /* down */
        from = (s32)(lane + by);
        *inside = from <= last;
        break;
    case 2: /* bfly */
        from = (s32)(lane ^ by);
        *inside = from <= last;
        break;
    default: /* idx */
        from = (s32)((lane & segment) | (by & ~segment));
        *inside = from <= last;
        break;
    }
    return *inside ? (u32)from : lane;
}

/* shfl.sync d|p, a, b, c, mask: e = p, f = mask */
HANDLER(shfl) {
    _Alignas(64) u32 value[SIM_LANES];
    u32 insiders = 0;

    GATHER(in->f);
    const u32 *b = LANES_OF(const u32, warp, in->b), *c = LANES_OF(const u32, warp, in->c);
    u32 *d = LANES_OF(u32, warp, in->d);
    memcpy(value, LANES_OF(const u32, warp, in->a), sizeof value);
    FOR_LANES(lane, exec) {
        bool inside;
        u32 from = shuffle_source(in->aux, lane, b[lane], c[lane], &inside);
        insiders |= (u32)inside << lane;
        if (likely(exec & mask[lane] & 1u << from)) {
            d[lane] = value[from];
            continue;
        }
        d[lane] = ~0u;
        sim_find(warp, SIM_FINDING_shuffle, in, UINT32_MAX,
                 "shfl.sync by block %u warp %u lane %u reads lane %u, which %s (mask 0x%08x, %%p)",
                 warp->block->index, warp->index, lane, from,
                 mask[lane] >> from & 1 ? "has exited" : "its mask does not name", mask[lane]);
    }
    if (in->e) predicate_set(warp, in->e, exec, insiders);
    return GATHERED;
}

/* vote.sync.MODE d, p, mask: aux 0 all, 1 any, 2 uni, 3 ballot */
HANDLER(vote) {
    u32 yes = predicate_value(warp, in->a), result = 0;

    GATHER(in->b);
    FOR_LANES(lane, exec) {
        u32 among = mask[lane] & exec, agree = yes & among;
        if (in->aux == 3) LANES_OF(u32, warp, in->d)[lane] = agree;
        bool holds = in->aux == 0   ? agree == among
                     : in->aux == 1 ? agree != 0
                                    : agree == among || agree == 0;
        result |= (u32)holds << lane;
    }
    if (in->aux != 3) predicate_set(warp, in->d, exec, result);
    return GATHERED;
}

static u64 match_value(const sim_warp *warp, const sim_instruction *in, u32 lane) {
    return in->aux == 64 ? LANES_OF(const u64, warp, in->a)[lane]
                         : LANES_OF(const u32, warp, in->a)[lane];
}

/* match.any.sync d, a, mask; aux: bits of a */
HANDLER(match_any) {
    u32 result[SIM_LANES] = {0};

    GATHER(in->b);
    FOR_LANES(lane, exec) {
        u64 value = match_value(warp, in, lane);
        FOR_LANES(other, exec & mask[lane])
            result[lane] |= (u32)(match_value(warp, in, other) == value) << other;
    }
    FOR_LANES(lane, exec) LANES_OF(u32, warp, in->d)[lane] = result[lane];
    return GATHERED;
}

/* match.all.sync d|p, a, mask: e = p */
HANDLER(match_all) {
    u32 result[SIM_LANES] = {0}, equal = 0;

    GATHER(in->b);
    FOR_LANES(lane, exec) {
        u64 value = match_value(warp, in, lane);
        bool all = true;
        FOR_LANES(other, exec & mask[lane]) all &= match_value(warp, in, other) == value;
        result[lane] = all ? exec & mask[lane] : 0;
        equal |= (u32)all << lane;
    }
    FOR_LANES(lane, exec) LANES_OF(u32, warp, in->d)[lane] = result[lane];
    if (in->e) predicate_set(warp, in->e, exec, equal);
    return GATHERED;
}

/* ORDER reduction in decode_warp.c */
static u32 reduce(u32 op, u32 x, u32 y) {
    switch (op) {
    case 0: return x + y;
    case 1: return x < y ? x : y;
    case 2: return x > y ? x : y;
    case 3: return (u32)((s32)x < (s32)y ? (s32)x : (s32)y);
    case 4: return (u32)((s32)x > (s32)y ? (s32)x : (s32)y);
    case 5: return x & y;
    case 6: return x | y;
    case 7: return x ^ y;
    case 8: return bits_f32(minimum(f32_bits(x), f32_bits(y)));
    case 9: return bits_f32(maximum(f32_bits(x), f32_bits(y)));
    case 10: return bits_f32(minimum_nan(f32_bits(x), f32_bits(y)));
    default: return bits_f32(maximum_nan(f32_bits(x), f32_bits(y)));
    }
}

/* redux.sync d, a, mask; aux: operation, + 16: of absolute values */
HANDLER(redux) {
    u32 result[SIM_LANES] = {0};

    GATHER(in->b);
    const u32 *a = LANES_OF(const u32, warp, in->a);
    u32 keep = in->aux & 16 ? 0x7fffffff : ~0u;
    FOR_LANES(lane, exec) {
        u32 among = exec & mask[lane];
        result[lane] = a[first_lane(among)] & keep;
        FOR_LANES(other, among & (among - 1))
            result[lane] = reduce(in->aux & 15, result[lane], a[other] & keep);
    }
    FOR_LANES(lane, exec) LANES_OF(u32, warp, in->d)[lane] = result[lane];
    return GATHERED;
}

HANDLER(activemask) {
    FOR_LANES(lane, exec) LANES_OF(u32, warp, in->d)[lane] = exec;
    return SIM_STEP;
}

/* elect.sync d|p, mask: e = p */
HANDLER(elect) {
    u32 leaders = 0;

    GATHER(in->b);
    FOR_LANES(lane, exec) {
        u32 leader = (u32)first_lane(exec & mask[lane]);
        if (in->d) LANES_OF(u32, warp, in->d)[lane] = leader;
        leaders |= (u32)(leader == lane) << lane;
    }
    if (in->e) predicate_set(warp, in->e, exec, leaders);
    return GATHERED;
}

/* bar.warp.sync mask: lanes may come from different instructions. */
HANDLER(warp_sync) {
    u32 pc = instruction_pc(warp, in), stay = warp->active & ~exec;
    const u32 *mask = LANES_OF(const u32, warp, in->a);
    u32 first = mask[first_lane(exec)] & ~warp->exited, different = 0;

    FOR_LANES(lane, exec) different |= (mask[lane] ^ mask[first_lane(exec)]) & ~warp->exited;
    if (unlikely(different || (exec & ~first))) check_named(warp, in, exec, mask);
    if (likely(!different && !stay && first == exec)) {
        sim_race_syncwarp(warp, exec);
        return SIM_STEP;
    }
    pass_by(warp, stay, pc);
    u32 here = exec, ready;
    FOR_LANES(lane, exec) {
        warp->park_mask[lane] = mask[lane];
        warp->park_kind[lane] = SIM_PARK_WARP_SYNC;
        warp->lane_pc[lane] = pc;
    }
    FOR_LANES(lane, warp->parked) {
        if (warp->park_kind[lane] == SIM_PARK_WARP_SYNC) here |= 1u << lane;
    }
    ready = complete_lanes(warp, here, warp->park_mask);
    warp->parked = here & ~ready;
    warp->active = 0;
    while (ready) {
        u32 one = complete_lanes(warp, here & ready, warp->park_mask), same_mask = 0;
        FOR_LANES(lane, one)
            same_mask |= (u32)(warp->park_mask[lane] == warp->park_mask[first_lane(one)]) << lane;
        sim_race_syncwarp(warp, same_mask);
        FOR_LANES(lane, same_mask) warp->lane_pc[lane]++;
        warp->waiting |= same_mask;
        ready &= ~same_mask;
    }
    return SIM_JUMP;
}

/* ---- barriers of the block: a = number, b = threads (0: all), aux 1: .aligned */

/* All lanes of the warp that have not exited must come to the barrier. Those of an aligned one must
 * stand at the same instruction. False: some are still elsewhere. */
static bool gather_warp(sim_warp *warp, const sim_instruction *in, u32 exec) {
    u32 pc = instruction_pc(warp, in), stay = warp->active & ~exec, here = exec;
    bool aligned = in->aux & 1;

    if (likely((exec | warp->exited) == ~0u)) {
        warp->pc = pc + 1;
        return true;
    }
    pass_by(warp, stay, pc);
    FOR_LANES(lane, warp->parked) {
        if (warp->park_kind[lane] == SIM_PARK_BARRIER && (!aligned || warp->lane_pc[lane] == pc))
            here |= 1u << lane;
    }
    FOR_LANES(lane, exec) {
        warp->lane_pc[lane] = pc;
        warp->park_kind[lane] = SIM_PARK_BARRIER;
        warp->park_mask[lane] = ~0u;
    }
    warp->active = 0;
    warp->parked |= exec;
    if ((here | warp->exited) != ~0u) {
        if (aligned) report_passed(warp, in, here, ~here, SIM_FINDING_divergent);
        return false;
    }
    warp->parked &= ~here;
    FOR_LANES(lane, here) warp->lane_pc[lane]++;
    warp->waiting |= here;
    return true;
}

static bool barrier_operands(sim_warp *warp, const sim_instruction *in, u32 exec,
                             sim_arrival *out) {
    int lane = first_lane(exec);
    u32 id = LANES_OF(const u32, warp, in->a)[lane],
        threads = in->b ? LANES_OF(const u32, warp, in->b)[lane] : 0;

    *out = (sim_arrival){.in = in, .id = id, .threads = threads, .lanes = exec};
    if (id < SIM_BARRIERS && threads % SIM_LANES == 0) return true;
    sim_find(warp, SIM_FINDING_barrier, in, UINT32_MAX,
             "barrier %u with %u threads by block %u warp %u (%%p): numbers go to 15, threads are "
             "a multiple of 32",
             id, threads, warp->block->index, warp->index);
    return false;
}

static int arrive(sim_warp *warp, const sim_arrival *arrival) {
    return sim_barrier_arrive(warp, arrival) ? SIM_JUMP : SIM_WAIT;
}

HANDLER(bar_sync) {
    sim_arrival arrival;

    if (!gather_warp(warp, in, exec)) return SIM_JUMP;
    if (!barrier_operands(warp, in, exec, &arrival)) return SIM_JUMP;
    arrival.waits = true;
    return arrive(warp, &arrival);
}

HANDLER(bar_arrive) {
    sim_arrival arrival;

    if (!gather_warp(warp, in, exec)) return SIM_JUMP;
    if (!barrier_operands(warp, in, exec, &arrival)) return SIM_JUMP;
    return arrive(warp, &arrival);
}

/* bar.red.OP d, a[, b], p: c = p; aux >> 1: 0 popc, 1 and, 2 or */
HANDLER(bar_red) {
    sim_arrival arrival;

    if (!gather_warp(warp, in, exec)) return SIM_JUMP;
    if (!barrier_operands(warp, in, exec, &arrival)) return SIM_JUMP;
    arrival.waits = arrival.reduces = true;
    arrival.lanes = ~warp->exited;
    arrival.values = predicate_value(warp, in->c) & ~warp->exited;
    return arrive(warp, &arrival);
}
