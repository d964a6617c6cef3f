/* exec_data.c - predicates, selection, packing, carries and address spaces. */
#include "exec/exec.h"

HANDLER(pred_mov) {
    predicate_set(warp, in->d, exec, predicate_value(warp, in->a));
    return SIM_STEP;
}

HANDLER(pred_not) {
    predicate_set(warp, in->d, exec, ~predicate_value(warp, in->a));
    return SIM_STEP;
}

HANDLER(pred_and) {
    predicate_set(warp, in->d, exec, predicate_value(warp, in->a) & predicate_value(warp, in->b));
    return SIM_STEP;
}

HANDLER(pred_or) {
    predicate_set(warp, in->d, exec, predicate_value(warp, in->a) | predicate_value(warp, in->b));
    return SIM_STEP;
}

HANDLER(pred_xor) {
    predicate_set(warp, in->d, exec, predicate_value(warp, in->a) ^ predicate_value(warp, in->b));
    return SIM_STEP;
}

/* d = condition ? a : b in each lane of exec. */
#define SELECT(T, condition)                                                                       \
    T *d = LANES_OF(T, warp, in->d);                                                               \
    const T *a = LANES_OF(const T, warp, in->a), *b = LANES_OF(const T, warp, in->b);              \
    _Pragma("GCC ivdep")                                                                           \
    for (int i = 0; i < SIM_LANES; i++) {                                                          \
        T value = (condition) ? a[i] : b[i];                                                       \
        d[i] = exec >> i & 1 ? value : d[i];                                                       \
    }                                                                                              \
    return SIM_STEP

HANDLER(selp_16) {
    u32 p = predicate_value(warp, in->c);
    SELECT(u16, p >> i & 1);
}

HANDLER(selp_32) {
    u32 p = predicate_value(warp, in->c);
    SELECT(u32, p >> i & 1);
}

HANDLER(selp_64) {
    u32 p = predicate_value(warp, in->c);
    SELECT(u64, p >> i & 1);
}

HANDLER(slct_s32_32) {
    const s32 *c = LANES_OF(const s32, warp, in->c);
    SELECT(u32, c[i] >= 0);
}

HANDLER(slct_f32_32) {
    const f32 *c = LANES_OF(const f32, warp, in->c);
    SELECT(u32, c[i] >= 0.0f);
}

HANDLER(slct_s32_64) {
    const s32 *c = LANES_OF(const s32, warp, in->c);
    SELECT(u64, c[i] >= 0);
}

HANDLER(slct_f32_64) {
    const f32 *c = LANES_OF(const f32, warp, in->c);
    SELECT(u64, c[i] >= 0.0f);
}

/* set: turns a predicate into a value: d = c ? 1 or ~0 : 0. imm is the value, aux the bits of d. */
HANDLER(set_any) {
    u32 p = predicate_value(warp, in->c);

    FOR_LANES(lane, exec) {
        u32 value = p >> lane & 1 ? (u32)in->imm : 0;
        if (in->aux == 16) LANES_OF(u16, warp, in->d)[lane] = (u16)value;
        else LANES_OF(u32, warp, in->d)[lane] = value;
    }
    return SIM_STEP;
}

/* Comparison codes of set and setp on pairs; ORDER comparison in decode_alu.c */
static bool compare_floats(u32 code, f32 x, f32 y) {
    bool nan = x != x || y != y;

    switch (code) {
    case 0: return x == y;
    case 1: return !nan && x != y;
    case 2: return x < y;
    case 3: return x <= y;
    case 4: return x > y;
    case 5: return x >= y;
    case 6: return nan || x == y;
    case 7: return x != y;
    case 8: return !(x >= y);
    case 9: return !(x > y);
    case 10: return !(x <= y);
    case 11: return !(x < y);
    case 12: return !nan;
    default: return nan;
    }
}

/* setp and set on pairs of f16 or bf16. aux: comparison, + 16 for bf16; d, e: predicates of the low
 * and the high half, or with imm the register that takes the pair of results; imm: 1 pair of
 * floats, 2 pair of masks. */
HANDLER(setp_pair) {
    const u32 *a = LANES_OF(const u32, warp, in->a), *b = LANES_OF(const u32, warp, in->b);
    u32 low = 0, high = 0;

    for (int i = 0; i < SIM_LANES; i++) {
        bool brain = in->aux & 16;
        f32 x0 = brain ? bf16_to_f32(low16(a[i])) : half_to_f32(low16(a[i]));
        f32 x1 = brain ? bf16_to_f32(high16(a[i])) : half_to_f32(high16(a[i]));
        f32 y0 = brain ? bf16_to_f32(low16(b[i])) : half_to_f32(low16(b[i]));
        f32 y1 = brain ? bf16_to_f32(high16(b[i])) : half_to_f32(high16(b[i]));
        low |= (u32)compare_floats(in->aux & 15, x0, y0) << i;
        high |= (u32)compare_floats(in->aux & 15, x1, y1) << i;
    }
    if (in->imm) {
        u16 one = in->imm == 2 ? 0xffff : in->aux & 16 ? 0x3f80 : 0x3c00;
        FOR_LANES(lane, exec) {
            LANES_OF(u32, warp, in->d)
            [lane] = pack16(low >> lane & 1 ? one : 0, high >> lane & 1 ? one : 0);
        }
        return SIM_STEP;
    }
    if (in->d) predicate_set(warp, in->d, exec, low);
    if (in->e) predicate_set(warp, in->e, exec, high);
    return SIM_STEP;
}

/* testp: aux is the property: 0 finite, 1 infinite, 2 number, 3 notanumber, 4 normal, 5
 * subnormal */
static bool has_property(u32 property, bool nan, bool infinite, bool zero, bool tiny) {
    bool is[] = {!nan && !infinite, infinite, !nan, nan, !nan && !infinite && !zero && !tiny, tiny};

    return is[property];
}

HANDLER(testp_f32) {
    const u32 *a = LANES_OF(const u32, warp, in->a);
    u32 result = 0;

    for (int i = 0; i < SIM_LANES; i++) {
        u32 m = a[i] & 0x7fffffff;
        bool yes =
            has_property(in->aux, m > 0x7f800000, m == 0x7f800000, m == 0, m && m < 0x800000);
        result |= (u32)yes << i;
    }
    predicate_set(warp, in->d, exec, result);
    return SIM_STEP;
}

HANDLER(testp_f64) {
    const u64 *a = LANES_OF(const u64, warp, in->a);
    u32 result = 0;

    for (int i = 0; i < SIM_LANES; i++) {
        u64 m = a[i] & ~(1ull << 63), top = 0x7ffull << 52;
        result |= (u32)has_property(in->aux, m > top, m == top, m == 0, m && m < 1ull << 52) << i;
    }
    predicate_set(warp, in->d, exec, result);
    return SIM_STEP;
}

/* lop3: aux is the truth table, a byte. */
HANDLER(lop3) {
    const u32 *a = LANES_OF(const u32, warp, in->a), *b = LANES_OF(const u32, warp, in->b);
    const u32 *c = LANES_OF(const u32, warp, in->c);
    u32 *d = LANES_OF(u32, warp, in->d), table[8];

    for (int i = 0; i < 8; i++) table[i] = in->aux >> i & 1 ? ~0u : 0;
    _Pragma("GCC ivdep")
    for (int i = 0; i < SIM_LANES; i++) {
        u32 x = a[i], y = b[i], z = c[i];
        u32 value = (table[0] & ~x & ~y & ~z) | (table[1] & ~x & ~y & z) |
                    (table[2] & ~x & y & ~z) | (table[3] & ~x & y & z) | (table[4] & x & ~y & ~z) |
                    (table[5] & x & ~y & z) | (table[6] & x & y & ~z) | (table[7] & x & y & z);
        d[i] = exec >> i & 1 ? value : d[i];
    }
    return SIM_STEP;
}

/* bfi d, a, b, c, e: inserts the low e bits of a into b at bit c. */
static u64 insert_bits(u64 a, u64 b, u32 at, u32 count, u32 width) {
    u64 mask = count > 63 ? ~0ull : (1ull << count) - 1;

    if (at >= width) return b;
    return (b & ~(mask << at)) | (a & mask) << at;
}

#define INSERT(T, W)                                                                               \
    const T *a = LANES_OF(const T, warp, in->a), *b = LANES_OF(const T, warp, in->b);              \
    const u32 *c = LANES_OF(const u32, warp, in->c), *e = LANES_OF(const u32, warp, in->e);        \
    T *d = LANES_OF(T, warp, in->d);                                                               \
    FOR_LANES(i, exec) d[i] = (T)insert_bits(a[i], b[i], c[i] & 255, e[i] & 255, W);               \
    return SIM_STEP

HANDLER(bfi_b32) {
    INSERT(u32, 32);
}

HANDLER(bfi_b64) {
    INSERT(u64, 64);
}

/* ---- the carry chain. aux: 1 takes the carry, 2 sets it, 64: 64 bits wide; mad: 4 high half, 8
 * signed. There is one flag, the carry of an adder: a subtraction is x + ~y + 1, or + the flag, so
 * that it leaves the inverted borrow, and addc or madc may take that up. */

static void set_carry(sim_warp *warp, u32 lane, bool carry) {
    warp->carry = (warp->carry & ~(1u << lane)) | (u32)carry << lane;
}

static u64 read_wide(const sim_warp *warp, s32 offset, u32 lane, bool wide) {
    return wide ? LANES_OF(const u64, warp, offset)[lane] : LANES_OF(const u32, warp, offset)[lane];
}

static void write_wide(sim_warp *warp, s32 offset, u32 lane, bool wide, u64 value) {
    if (wide) LANES_OF(u64, warp, offset)[lane] = value;
    else LANES_OF(u32, warp, offset)[lane] = (u32)value;
}

/* x + y, and the flag, or `first` where the instruction starts a chain. */
static void add_carry(sim_warp *warp, const sim_instruction *in, u32 lane, u64 x, u64 y,
                      bool first) {
    bool wide = in->aux & 64;
    u128 sum = (u128)x + y + (in->aux & 1 ? warp->carry >> lane & 1 : first);

    write_wide(warp, in->d, lane, wide, (u64)sum);
    if (in->aux & 2) set_carry(warp, lane, wide ? sum >> 64 & 1 : sum >> 32 & 1);
}

HANDLER(add_cc) {
    FOR_LANES(lane, exec) {
        add_carry(warp, in, lane, read_wide(warp, in->a, lane, in->aux & 64),
                  read_wide(warp, in->b, lane, in->aux & 64), false);
    }
    return SIM_STEP;
}

HANDLER(sub_cc) {
    bool wide = in->aux & 64;

    FOR_LANES(lane, exec) {
        u64 x = read_wide(warp, in->a, lane, wide), y = ~read_wide(warp, in->b, lane, wide);
        add_carry(warp, in, lane, x, wide ? y : (u32)y, true);
    }
    return SIM_STEP;
}

HANDLER(mad_cc) {
    bool wide = in->aux & 64, high = in->aux & 4, is_signed = in->aux & 8;

    FOR_LANES(lane, exec) {
        u64 x = read_wide(warp, in->a, lane, wide), y = read_wide(warp, in->b, lane, wide);
        u128 product = is_signed
                           ? (wide ? (u128)((s128)(s64)x * (s64)y) : (u128)((s128)(s32)x * (s32)y))
                           : (u128)x * y;
        u64 part = (u64)(high ? product >> (wide ? 64 : 32) : product);
        if (!wide) part = (u32)part;
        add_carry(warp, in, lane, part, read_wide(warp, in->c, lane, wide), false);
    }
    return SIM_STEP;
}

/* ---- packing: list holds imm parts, 0 for one that is not wanted; aux: bits of a part, and << 8
 * those of the whole */

static u64 read_bits(const sim_warp *warp, s32 offset, u32 lane, u32 bits) {
    if (bits == 8) return (u8)LANES_OF(const u16, warp, offset)[lane];
    if (bits == 16) return LANES_OF(const u16, warp, offset)[lane];
    if (bits == 32) return LANES_OF(const u32, warp, offset)[lane];
    return LANES_OF(const u64, warp, offset)[lane];
}

static void write_bits(sim_warp *warp, s32 offset, u32 lane, u32 bits, u64 value) {
    if (bits == 8) LANES_OF(u16, warp, offset)[lane] = (u8)value;
    else if (bits == 16) LANES_OF(u16, warp, offset)[lane] = (u16)value;
    else if (bits == 32) LANES_OF(u32, warp, offset)[lane] = (u32)value;
    else LANES_OF(u64, warp, offset)[lane] = value;
}

HANDLER(pack) {
    u32 part = in->aux & 255, whole = in->aux >> 8;

    FOR_LANES(lane, exec) {
        u64 value = 0;
        for (int i = 0; i < in->imm; i++)
            value |= read_bits(warp, in->list[i], lane, part) << (u32)i * part;
        write_bits(warp, in->d, lane, whole, value);
    }
    return SIM_STEP;
}

HANDLER(unpack) {
    u32 part = in->aux & 255, whole = in->aux >> 8;

    FOR_LANES(lane, exec) {
        u64 value = read_bits(warp, in->a, lane, whole);
        for (int i = 0; i < in->imm; i++)
            if (in->list[i]) write_bits(warp, in->list[i], lane, part, value >> (u32)i * part);
    }
    return SIM_STEP;
}

/* mov.b128: aux 0 whole, 1 pack of list[0..1], 2 unpack; a whole is two u64 vectors in a row. */
HANDLER(mov_b128) {
    s32 second = SIM_LANES * (s32)sizeof(u64);
    s32 from[2] = {in->a, in->a + second}, to[2] = {in->d, in->d + second};

    if (in->aux == 1) from[0] = in->list[0], from[1] = in->list[1];
    if (in->aux == 2) to[0] = in->list[0], to[1] = in->list[1];
    FOR_LANES(lane, exec) {
        for (int i = 0; i < 2; i++)
            if (to[i]) write_bits(warp, to[i], lane, 64, read_bits(warp, from[i], lane, 64));
    }
    return SIM_STEP;
}

/* ---- address spaces: aux is the number of the window */

HANDLER(cvta_from) {
    const u64 *a = LANES_OF(const u64, warp, in->a);
    u64 *d = LANES_OF(u64, warp, in->d);

    FOR_LANES(lane, exec) d[lane] = a[lane] + ((u64)in->aux << SIM_ADDRESS_SHIFT);
    return SIM_STEP;
}

HANDLER(cvta_to) {
    const u64 *a = LANES_OF(const u64, warp, in->a);
    u64 *d = LANES_OF(u64, warp, in->d);

    FOR_LANES(lane, exec) d[lane] = a[lane] - ((u64)in->aux << SIM_ADDRESS_SHIFT);
    return SIM_STEP;
}

/* aux: a sim_space */
HANDLER(isspacep) {
    const u64 *a = LANES_OF(const u64, warp, in->a);
    u32 result = 0;

    FOR_LANES(lane, exec) {
        u64 number = a[lane] >> SIM_ADDRESS_SHIFT;
        const sim_allocation *allocation = sim_allocation_at(warp->block->launch->memory, a[lane]);
        bool yes = in->aux == SIM_SHARED  ? number == SIM_WINDOW_SHARED
                   : in->aux == SIM_LOCAL ? number == SIM_WINDOW_LOCAL
                   : in->aux == SIM_PARAM ? number == SIM_WINDOW_PARAM
                   : in->aux == SIM_CONST
                       ? allocation && allocation->readonly
                       : number >= SIM_FIRST_ALLOCATION && !(allocation && allocation->readonly);
        result |= (u32)yes << lane;
    }
    predicate_set(warp, in->d, exec, result);
    return SIM_STEP;
}
