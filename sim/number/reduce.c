/* reduce.c - atomic operations on single values. */
#include "number/reduce.h"

#include "number/number.h"

static u16 half_operation(u32 op, bool brain, u16 x, u16 y) {
    f32 a = brain ? bf16_to_f32(x) : half_to_f32(x), b = brain ? bf16_to_f32(y) : half_to_f32(y);
    f32 r = op == SIM_ADD ? a + b : op == SIM_MIN ? minimum(a, b) : maximum(a, b);

    return brain ? f32_to_bf16(r) : f32_to_half(r);
}

static u64 add_f32(u32 x, u32 y, bool flushes) {
    f32 a = f32_bits(x), b = f32_bits(y);

    if (flushes) return bits_f32(nan32(flush(flush(a) + flush(b))));
    return bits_f32(nan32(a + b));
}

static u64 float_operation(sim_reduction r, u64 x, u64 y) {
    bool brain = r.type == SIM_T_bf16 || r.type == SIM_T_bf16x2;

    switch (r.type) {
    case SIM_T_f32: return add_f32((u32)x, (u32)y, r.flush);
    case SIM_T_f64: return bits_f64(f64_bits(x) + f64_bits(y));
    case SIM_T_f16:
    case SIM_T_bf16: return half_operation(r.operation, brain, (u16)x, (u16)y);
    default:
        return pack16(half_operation(r.operation, brain, low16((u32)x), low16((u32)y)),
                      half_operation(r.operation, brain, high16((u32)x), high16((u32)y)));
    }
}

static bool less(u32 type, u64 x, u64 y) {
    switch (type) {
    case SIM_T_s32: return (s32)x < (s32)y;
    case SIM_T_s64: return (s64)x < (s64)y;
    default: return x < y;
    }
}

/* What the memory holds after the operation. */
static u64 operate(sim_reduction r, u64 old, u64 b, u64 c) {
    bool floats = r.type >= SIM_T_f32 && r.type <= SIM_T_bf16x2;

    switch (r.operation) {
    case SIM_ADD: return floats ? float_operation(r, old, b) : old + b;
    case SIM_MIN: return floats ? float_operation(r, old, b) : less(r.type, b, old) ? b : old;
    case SIM_MAX: return floats ? float_operation(r, old, b) : less(r.type, old, b) ? b : old;
    case SIM_AND: return old & b;
    case SIM_OR: return old | b;
    case SIM_XOR: return old ^ b;
    case SIM_EXCH: return b;
    case SIM_CAS: return old == b ? c : old;
    case SIM_INC: return old >= b ? 0 : old + 1;
    default: return old == 0 || old > b ? b : old - 1;
    }
}

#define APPLY(T)                                                                                   \
    {                                                                                              \
        T *word = (T *)(void *)at, old = __atomic_load_n(word, __ATOMIC_RELAXED), after;           \
        do {                                                                                       \
            after = (T)operate(r, old, b, c);                                                      \
        } while (!__atomic_compare_exchange_n(word, &old, after, false, __ATOMIC_ACQ_REL,          \
                                              __ATOMIC_RELAXED));                                  \
        *changed = old != after;                                                                   \
        return old;                                                                                \
    }

u64 sim_reduce(u8 *at, u32 bytes, sim_reduction r, u64 b, u64 c, bool *changed) {
    if (bytes == 2) APPLY(u16)
    if (bytes == 4) APPLY(u32)
    APPLY(u64)
}

u32 sim_reduce_bytes(sim_reduce_type type) {
    static const u8 bytes[] = {
        [SIM_T_u32] = 4,  [SIM_T_s32] = 4,   [SIM_T_u64] = 8,  [SIM_T_s64] = 8,    [SIM_T_f32] = 4,
        [SIM_T_f64] = 8,  [SIM_T_f16] = 2,   [SIM_T_f16x2] = 4, [SIM_T_bf16] = 2,
        [SIM_T_bf16x2] = 4, [SIM_T_b32] = 4, [SIM_T_b64] = 8,  [SIM_T_b16] = 2,
    };

    return bytes[type];
}

bool sim_reduce_bulk_legal(sim_reduction r) {
    enum {
        WORDS = 1 << SIM_T_u32 | 1 << SIM_T_s32,
        HALVES = 1 << SIM_T_f16 | 1 << SIM_T_bf16,
        LONGS = 1 << SIM_T_u64 | 1 << SIM_T_s64,
        BITS = 1 << SIM_T_b32 | 1 << SIM_T_b64
    };
    static const u32 types[] = {
        [SIM_ADD] = WORDS | 1 << SIM_T_u64 | 1 << SIM_T_f32 | 1 << SIM_T_f64 | HALVES,
        [SIM_MIN] = WORDS | LONGS | HALVES,
        [SIM_MAX] = WORDS | LONGS | HALVES,
        [SIM_AND] = BITS,
        [SIM_OR] = BITS,
        [SIM_XOR] = BITS,
        [SIM_INC] = 1 << SIM_T_u32,
        [SIM_DEC] = 1 << SIM_T_u32,
        [SIM_EXCH] = 0,
        [SIM_CAS] = 0,
    };

    return types[r.operation] >> r.type & 1;
}
