/* exec_atomic.c - atom, red and fences. */
#include "exec_memory.h"

#define OFFSET_MASK ((1ull << SIM_ADDRESS_SHIFT) - 1)

/* ORDER atomic operation, ORDER atomic type in decode_memory.c */
enum { ADD, MIN, MAX, AND, OR, XOR, EXCH, CAS, INC, DEC };
enum {
    T_u32,
    T_s32,
    T_u64,
    T_s64,
    T_f32,
    T_f64,
    T_f16,
    T_f16x2,
    T_bf16,
    T_bf16x2,
    T_b32,
    T_b64,
    T_b16
};

static u16 half_operation(u32 op, bool brain, u16 x, u16 y) {
    f32 a = brain ? bf16_to_f32(x) : half_to_f32(x), b = brain ? bf16_to_f32(y) : half_to_f32(y);
    f32 r = op == ADD ? a + b : op == MIN ? minimum(a, b) : maximum(a, b);

    return brain ? f32_to_bf16(r) : f32_to_half(r);
}

static u64 float_operation(u32 op, u32 type, u64 x, u64 y) {
    switch (type) {
    case T_f32: return bits_f32(nan32(f32_bits((u32)x) + f32_bits((u32)y)));
    case T_f64: return bits_f64(f64_bits(x) + f64_bits(y));
    case T_f16: return half_operation(op, false, (u16)x, (u16)y);
    case T_bf16: return half_operation(op, true, (u16)x, (u16)y);
    default:
        return pack16(half_operation(op, type == T_bf16x2, low16((u32)x), low16((u32)y)),
                      half_operation(op, type == T_bf16x2, high16((u32)x), high16((u32)y)));
    }
}

static bool less(u32 type, u64 x, u64 y) {
    switch (type) {
    case T_s32: return (s32)x < (s32)y;
    case T_s64: return (s64)x < (s64)y;
    default: return x < y;
    }
}

/* What the memory holds after the operation. */
static u64 operate(u32 op, u32 type, u64 old, u64 b, u64 c) {
    bool floats = type >= T_f32 && type <= T_bf16x2;

    switch (op) {
    case ADD: return floats ? float_operation(op, type, old, b) : old + b;
    case MIN: return floats ? float_operation(op, type, old, b) : less(type, b, old) ? b : old;
    case MAX: return floats ? float_operation(op, type, old, b) : less(type, old, b) ? b : old;
    case AND: return old & b;
    case OR: return old | b;
    case XOR: return old ^ b;
    case EXCH: return b;
    case CAS: return old == b ? c : old;
    case INC: return old >= b ? 0 : old + 1;
    default: return old == 0 || old > b ? b : old - 1;
    }
}

#define APPLY(T)                                                                                   \
    {                                                                                              \
        T *word = (T *)(void *)at, old = __atomic_load_n(word, __ATOMIC_RELAXED), after;           \
        do {                                                                                       \
            after = (T)operate(op, type, old, b, c);                                               \
        } while (!__atomic_compare_exchange_n(word, &old, after, false, __ATOMIC_ACQ_REL,          \
                                              __ATOMIC_RELAXED));                                  \
        *changed = old != after;                                                                   \
        return old;                                                                                \
    }

/* One lane's operation on the host's memory; returns what was there before. */
static u64 apply(u8 *at, u32 bytes, u32 op, u32 type, u64 b, u64 c, bool *changed) {
    if (bytes == 2) APPLY(u16)
    if (bytes == 4) APPLY(u32)
    APPLY(u64)
}

static u64 read_operand(const sim_warp *warp, s32 offset, u32 lane, u32 bytes) {
    if (bytes == 2) return LANES_OF(const u16, warp, offset)[lane];
    if (bytes == 4) return LANES_OF(const u32, warp, offset)[lane];
    return LANES_OF(const u64, warp, offset)[lane];
}

static void lane_operation(sim_warp *warp, const sim_instruction *in, u32 lane, u8 *at) {
    u32 bytes = memory_bytes(in), op = (u32)in->e & 255, type = (u32)in->e >> 8;
    u64 b = read_operand(warp, in->b, lane, bytes);
    u64 c = op == CAS ? read_operand(warp, in->c, lane, bytes) : 0;
    bool changed;
    u64 old = apply(at, bytes, op, type, b, c, &changed);

    if (changed) warp->block->progress++;
    else warp->block->polls++;
    if (!in->d) return;
    if (bytes == 2) LANES_OF(u16, warp, in->d)[lane] = (u16)old;
    else if (bytes == 4) LANES_OF(u32, warp, in->d)[lane] = (u32)old;
    else LANES_OF(u64, warp, in->d)[lane] = old;
}

static u32 repeated_words(const u64 *address, u32 lanes) {
    u32 repeats = 0, before = 0;

    FOR_LANES(lane, lanes) {
        bool again = false;
        FOR_LANES(other, before) again |= address[other] == address[lane];
        repeats += again;
        before |= 1u << lane;
    }
    return repeats;
}

static void global_atomic(sim_warp *warp, const sim_instruction *in, u32 exec, target *t) {
    const sim_block *block = warp->block;
    u32 bytes = memory_bytes(in);
    sim_range range = {.bytes = bytes, .lane_bytes = bytes, .strong = true};

    if (!SIM_EXEC(target_global)(warp, in, exec, bytes, "atomic", t)) return;
    SIM_EXEC(count_global)(warp, t, bytes, SAMPLE_ATOMIC);
    warp->block->worker->counters.atomic_repeats += repeated_words(t->address, t->lanes);
    sim_race_publish(warp, in->aux & MEMORY_RELEASE);
    FOR_LANES(lane, t->lanes) {
        range.allocation = sim_allocation_at(block->launch->memory, t->address[lane]);
        range.offset = t->address[lane] & OFFSET_MASK;
        range.lane = lane;
        if (block->checks) {
            SIM_EXEC(check_written)(warp, in, &range);
            sim_global_write(warp, in, &range);
            sim_written_set(range.allocation, range.offset, bytes);
        } else {
            sim_global_touch(warp, range.allocation, range.offset, bytes);
        }
        lane_operation(warp, in, lane, range.allocation->bytes + range.offset);
    }
    sim_race_acquire(warp);
}

static void shared_atomic(sim_warp *warp, const sim_instruction *in, u32 exec, target *t) {
    sim_block *block = warp->block;
    u32 bytes = memory_bytes(in);

    if (!SIM_EXEC(target_shared)(warp, in, exec, bytes, "atomic", t)) return;
    SIM_EXEC(count_shared)(warp, t, bytes);
    sim_race_publish(warp, in->aux & MEMORY_RELEASE);
    FOR_LANES(lane, t->lanes) {
        sim_access access = {.in = in, .offset = (u32)t->address[lane], .lane = lane};
        if (block->checks) shared_strong(warp, &access, bytes, true, true);
        lane_operation(warp, in, lane, block->shared + access.offset);
    }
    sim_race_acquire(warp);
}

HANDLER(atom_global) {
    target t;

    lane_addresses(warp, in, exec, t.address);
    global_atomic(warp, in, exec, &t);
    return SIM_STEP;
}

HANDLER(atom_shared) {
    target t;

    lane_addresses(warp, in, exec, t.address);
    shared_atomic(warp, in, exec, &t);
    return SIM_STEP;
}

HANDLER(atom_generic) {
    u64 address[SIM_LANES];
    target t;
    u32 shared = 0;

    lane_addresses(warp, in, exec, address);
    FOR_LANES(lane, exec)
        shared |= (u32)(address[lane] >> SIM_ADDRESS_SHIFT == SIM_WINDOW_SHARED) << lane;
    u32 parts[2] = {shared, exec & ~shared};
    for (int part = 0; part < 2; part++) {
        if (!parts[part]) continue;
        u64 mask = part == 0 ? OFFSET_MASK : ~0ull, fill = address[first_lane(parts[part])] & mask;
        for (int i = 0; i < SIM_LANES; i++)
            t.address[i] = parts[part] >> i & 1 ? address[i] & mask : fill;
        if (part == 0) shared_atomic(warp, in, shared, &t);
        else global_atomic(warp, in, parts[1], &t);
    }
    return SIM_STEP;
}

HANDLER(fence) {
    (void)exec;
    sim_race_fence(warp, in->aux);
    return SIM_STEP;
}
