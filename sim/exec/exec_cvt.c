/* exec_cvt.c - conversions in general, lane by lane: from any type to any other in every rounding
 * mode. Frequent ones have loops of their own in alu.def. */
#include "exec/exec.h"

static u64 read_register(const sim_warp *warp, const sim_instruction *in, u32 lane) {
    switch (in->aux >> CONVERT_FROM_REGISTER_SHIFT & 3) {
    case 0: return LANES_OF(const u16, warp, in->a)[lane];
    case 1: return LANES_OF(const u32, warp, in->a)[lane];
    default: return LANES_OF(const u64, warp, in->a)[lane];
    }
}

static void write_register(sim_warp *warp, const sim_instruction *in, u32 lane, u64 value) {
    switch (in->aux >> CONVERT_TO_REGISTER_SHIFT & 3) {
    case 0: LANES_OF(u16, warp, in->d)[lane] = (u16)value; break;
    case 1: LANES_OF(u32, warp, in->d)[lane] = (u32)value; break;
    default: LANES_OF(u64, warp, in->d)[lane] = value; break;
    }
}

static convert_type from_type(const sim_instruction *in) {
    return (convert_type)(in->aux & CONVERT_TYPE_MASK);
}

static convert_type to_type(const sim_instruction *in) {
    return (convert_type)(in->aux >> CONVERT_TO_SHIFT & CONVERT_TYPE_MASK);
}

static u32 type_width(convert_type type) {
    return 8u << (type / 2);
}

static bool type_signed(convert_type type) {
    return type & 1;
}

/* The low bits of a register as a number of an integer type. */
static s128 integer_value(u64 bits, convert_type type) {
    u32 unused = 64 - type_width(type);

    return type_signed(type) ? (s128)((s64)(bits << unused) >> unused)
                             : (s128)(bits << unused >> unused);
}

static s128 clamp_integer(s128 value, convert_type type) {
    u32 width = type_width(type);
    s128 top = type_signed(type) ? ((s128)1 << (width - 1)) - 1 : ((s128)1 << width) - 1;
    s128 bottom = type_signed(type) ? -((s128)1 << (width - 1)) : 0;

    return value > top ? top : value < bottom ? bottom : value;
}

/* cvt between integers: narrowed, then extended to the register. */
HANDLER(cvt_integer) {
    convert_type from = from_type(in), to = to_type(in);

    FOR_LANES(lane, exec) {
        s128 value = integer_value(read_register(warp, in, lane), from);
        if (in->aux & CONVERT_SAT) value = clamp_integer(value, to);
        write_register(warp, in, lane, (u64)integer_value((u64)value, to));
    }
    return SIM_STEP;
}

static f64 float_value(u64 bits, convert_type type, bool ftz) {
    switch (type) {
    case CONVERT_f16: return (f64)half_to_f32((u16)bits);
    case CONVERT_bf16: return (f64)bf16_to_f32((u16)bits);
    case CONVERT_f32: return (f64)(ftz ? flush(f32_bits((u32)bits)) : f32_bits((u32)bits));
    default: return f64_bits(bits);
    }
}

static f64 round_whole(f64 x, u32 mode) {
    switch (mode) {
    case CONVERT_ZERO: return __builtin_trunc(x);
    case CONVERT_DOWN: return __builtin_floor(x);
    case CONVERT_UP: return __builtin_ceil(x);
    default: return __builtin_rint(x);
    }
}

/* cvt from a float to an integer: out of range goes to the nearest, NaN to 0, or to the top bit
 * alone where 64 bits are involved. */
HANDLER(cvt_to_integer) {
    convert_type from = from_type(in), to = to_type(in);
    u32 mode = in->aux >> CONVERT_ROUND_SHIFT & 3;

    FOR_LANES(lane, exec) {
        f64 x = float_value(read_register(warp, in, lane), from, in->aux & CONVERT_FTZ);
        f64 whole = round_whole(x, mode);
        s128 value = whole != whole     ? 0
                     : whole >= 0x1p65  ? (s128)1 << 65
                     : whole <= -0x1p65 ? -((s128)1 << 65)
                                        : (s128)whole;
        if (whole != whole && (from == CONVERT_f64 || type_width(to) == 64))
            value = (s128)1 << (type_width(to) - 1);
        else value = clamp_integer(value, to);
        write_register(warp, in, lane, (u64)integer_value((u64)value, to));
    }
    return SIM_STEP;
}

static const unsigned modes[] = {0, ROUND_ZERO, ROUND_DOWN, ROUND_UP};

/* x, which is exact, as a number of 16 bits; through f32 rounded to odd where that loses
 * nothing. */
static u64 to_small_float(f64 x, convert_type to, u32 mode) {
    f32 odd = odd_f32(x);
    bool half = to == CONVERT_f16;
    bool up = mode == CONVERT_UP, down = mode == CONVERT_DOWN;

    if (mode == CONVERT_EVEN) return half ? f32_to_half(odd) : f32_to_bf16(odd);
    u16 cut = half ? f32_to_half_rz(odd) : f32_to_bf16_rz(odd);
    f64 back = half ? (f64)half_to_f32(cut) : (f64)bf16_to_f32(cut);
    if ((up && back < x) || (down && back > x)) cut++; /* one step away from zero */
    return cut;
}

static u64 to_float(f64 x, convert_type to, u32 mode, bool ftz) {
    if (to == CONVERT_f64) return bits_f64(x);
    if (to != CONVERT_f32) return to_small_float(x, to, mode);
    volatile f64 exact = x; /* so that the conversion stays between the changes of mode */
    if (mode != CONVERT_EVEN) round_set(modes[mode]);
    volatile f32 narrow = (f32)exact;
    if (mode != CONVERT_EVEN) round_reset();
    f32 result = nan32(narrow);
    return bits_f32(ftz ? flush(result) : result);
}

/* Integers of 64 bits do not fit f64: round once, from the integer. */
static u64 integer_to_float(s128 value, convert_type to, u32 mode) {
    bool negative = value < 0;
    u64 magnitude = (u64)(negative ? -value : value);
    volatile f64 wide;
    volatile f32 narrow;

    if (to == CONVERT_f16 || to == CONVERT_bf16) {
        f64 x =
            (f64)(magnitude >> 11) * 0x1p11 + (f64)(magnitude & 0x7ff); /* odd enough for 11 bits */
        if (magnitude >> 53) x = (f64)((magnitude >> 11) | ((magnitude & 0x7ff) != 0)) * 0x1p11;
        return to_small_float(negative ? -x : x, to, mode);
    }
    volatile s64 as_signed = (s64)value;
    volatile u64 as_unsigned = magnitude;
    if (mode != CONVERT_EVEN) round_set(modes[mode]);
    wide = negative ? (f64)as_signed : (f64)as_unsigned;
    narrow = negative ? (f32)as_signed : (f32)as_unsigned;
    if (mode != CONVERT_EVEN) round_reset();
    return to == CONVERT_f64 ? bits_f64(wide) : bits_f32(narrow);
}

static f64 saturate64(f64 x) {
    return x > 0 ? (x < 1 ? x : 1) : 0;
}

HANDLER(cvt_to_float) {
    convert_type from = from_type(in), to = to_type(in);
    u32 mode = in->aux >> CONVERT_ROUND_SHIFT & 3;
    bool ftz = in->aux & CONVERT_FTZ;

    FOR_LANES(lane, exec) {
        u64 bits = read_register(warp, in, lane), result;
        if ((int)from < CONVERT_FIRST_FLOAT) {
            result = integer_to_float(integer_value(bits, from), to, mode);
        } else {
            f64 x = float_value(bits, from, ftz);
            if (in->aux & CONVERT_WHOLE) x = round_whole(x, mode);
            if (in->aux & CONVERT_SAT) x = saturate64(x);
            result = to_float(x, to, mode, ftz);
        }
        write_register(warp, in, lane, result);
    }
    return SIM_STEP;
}
