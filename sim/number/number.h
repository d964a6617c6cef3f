/* number.h - the arithmetic of PTX on single numbers, in a form that loops over lanes vectorise:
 * no branches where it matters. Nothing here knows of warps. */
#ifndef SIM_NUMBER_H
#define SIM_NUMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#else
#include <fenv.h>
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef float f32;
typedef double f64;
__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 s128;

/* ---- rounding modes */

#if defined(__x86_64__)
enum { ROUND_DOWN = _MM_ROUND_DOWN, ROUND_UP = _MM_ROUND_UP, ROUND_ZERO = _MM_ROUND_TOWARD_ZERO };
static inline void round_set(unsigned mode) {
    _mm_setcsr((_mm_getcsr() & ~(unsigned)_MM_ROUND_MASK) | mode);
    __asm__ volatile("" ::: "memory");
}
static inline void round_reset(void) {
    __asm__ volatile("" ::: "memory");
    _mm_setcsr(_mm_getcsr() & ~(unsigned)_MM_ROUND_MASK);
}
#else
enum { ROUND_DOWN = FE_DOWNWARD, ROUND_UP = FE_UPWARD, ROUND_ZERO = FE_TOWARDZERO };
static inline void round_set(unsigned mode) {
    fesetround((int)mode);
    __asm__ volatile("" ::: "memory");
}
static inline void round_reset(void) {
    __asm__ volatile("" ::: "memory");
    fesetround(FE_TONEAREST);
}
#endif

/* ---- bits of numbers */

static inline u32 bits_f32(f32 x) {
    u32 bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline f32 f32_bits(u32 bits) {
    f32 x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline u64 bits_f64(f64 x) {
    u64 bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline f64 f64_bits(u64 bits) {
    f64 x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline u16 low16(u32 x) {
    return (u16)x;
}

static inline u16 high16(u32 x) {
    return (u16)(x >> 16);
}

static inline u32 pack16(u16 low, u16 high) {
    return (u32)high << 16 | low;
}

static inline f32 half_to_f32(u16 h) {
    u32 magnitude = (u32)(h & 0x7fff) << 13;
    u32 bits = bits_f32(f32_bits(magnitude) * 0x1p112f);

    bits |= (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
    return f32_bits(bits | (u32)(h & 0x8000) << 16);
}

static inline f32 bf16_to_f32(u16 h) {
    return f32_bits((u32)h << 16);
}

static inline u16 f32_to_half(f32 x) {
    u32 bits = bits_f32(x), a = bits & 0x7fffffff;
    u32 small = bits_f32(f32_bits(a) + 0.5f) - 0x3f000000; /* rounds at 2^-24 */
    u32 normal = (a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13;
    u32 r = a < 0x38800000 ? small : normal;

    r = a >= 0x477ff000 ? 0x7c00 : r;
    r |= bits >> 16 & 0x8000;
    return (u16)(a > 0x7f800000 ? 0x7fff : r);
}

static inline u16 f32_to_half_rz(f32 x) {
    u32 bits = bits_f32(x), a = bits & 0x7fffffff;
    u32 small = (u32)(s32)(f32_bits(a < 0x38800000 ? a : 0) * 0x1p24f);
    u32 r = a < 0x38800000 ? small : (a - 0x38000000) >> 13;

    r = a >= 0x47800000 ? 0x7bff : r;
    r = a == 0x7f800000 ? 0x7c00 : r;
    r |= bits >> 16 & 0x8000;
    return (u16)(a > 0x7f800000 ? 0x7fff : r);
}

static inline u16 f32_to_bf16(f32 x) {
    u32 bits = bits_f32(x);

    return (u16)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fff
                                                  : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline u16 f32_to_bf16_rz(f32 x) {
    u32 bits = bits_f32(x);

    return (u16)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fff : bits >> 16);
}

/* ---- f32 */

static inline f32 nan_f32(void) {
    return f32_bits(0x7fffffff);
}

/* NaN results are always the same NaN. */
static inline f32 nan32(f32 x) {
    return x != x ? f32_bits(0x7fffffff) : x;
}

static inline f32 same_f32(f32 x) {
    return x;
}

#define same(x) (x)
#define ordered(x, y) (((x) == (x)) & ((y) == (y)))

static inline f32 flush(f32 x) {
    u32 bits = bits_f32(x);

    return f32_bits(bits & 0x7f800000 ? bits : bits & 0x80000000);
}

static inline f32 saturate(f32 x) {
    return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f;
}

#define CALC_add (x + y)
#define CALC_sub (x - y)
#define CALC_mul (x * y)
#define CALC_fma __builtin_fmaf(x, y, z)
#define FTZ_add (flush(x) + flush(y))
#define FTZ_sub (flush(x) - flush(y))
#define FTZ_mul (flush(x) * flush(y))
#define FTZ_fma __builtin_fmaf(flush(x), flush(y), flush(z))

static inline f32 absolute32(f32 x) {
    return f32_bits(bits_f32(x) & 0x7fffffff);
}

static inline f32 negate32(f32 x) {
    return f32_bits(bits_f32(x) ^ 0x80000000);
}

/* copysign d, a, b: the sign of a, the magnitude of b. */
static inline f32 copy_sign32(f32 sign, f32 magnitude) {
    return f32_bits((bits_f32(sign) & 0x80000000) | (bits_f32(magnitude) & 0x7fffffff));
}

/* The number where one operand is NaN; -0 is less than +0. */
static inline f32 minimum(f32 x, f32 y) {
    f32 less = x < y || (x == y && (s32)bits_f32(x) < 0) ? x : y;
    f32 r = y != y ? x : less;

    r = x != x ? y : r;
    return nan32(r);
}

static inline f32 maximum(f32 x, f32 y) {
    f32 more = x > y || (x == y && (s32)bits_f32(x) >= 0) ? x : y;
    f32 r = y != y ? x : more;

    r = x != x ? y : r;
    return nan32(r);
}

static inline f32 minimum_nan(f32 x, f32 y) {
    return x != x || y != y ? nan_f32() : minimum(x, y);
}

static inline f32 maximum_nan(f32 x, f32 y) {
    return x != x || y != y ? nan_f32() : maximum(x, y);
}

static inline f32 square_root32(f32 x) {
    return __builtin_sqrtf(x);
}

static inline f32 round_even32(f32 x) {
    return __builtin_rintf(x);
}

/* 2^x to about one unit in the last place: 2^n times a polynomial for |fraction| <= 1/2. */
static inline f32 exp2_f32(f32 x) {
    f32 clamped = x < -160.0f ? -160.0f : x > 130.0f ? 130.0f : x;
    f32 n = __builtin_rintf(clamped);
    f32 r = clamped - n;
    s32 whole = (s32)(n == n ? n : 0.0f);
    s32 half = whole >> 1;
    f32 p = 1.5252733804059841e-5f;

    p = p * r + 1.5403530393381608e-4f;
    p = p * r + 1.3333558146428443e-3f;
    p = p * r + 9.6181291076284772e-3f;
    p = p * r + 5.5504108664821580e-2f;
    p = p * r + 2.4022650695910072e-1f;
    p = p * r + 6.9314718055994531e-1f;
    p = p * r + 1.0f;
    p = p * f32_bits((u32)(half + 127) << 23) * f32_bits((u32)(whole - half + 127) << 23);
    return nan32(x != x ? x : p);
}

static inline f32 log2_f32(f32 x) {
    return __builtin_log2f(x);
}

static inline f32 sine_f32(f32 x) {
    return __builtin_sinf(x);
}

static inline f32 cosine_f32(f32 x) {
    return __builtin_cosf(x);
}

static inline f32 tanh_f32(f32 x) {
    return __builtin_tanhf(x);
}

/* Rounds to 10 bits of mantissa, ties away from zero; to even. */
static inline u32 round_tf32_away(u32 bits) {
    return (bits & 0x7f800000) == 0x7f800000 ? bits : (bits + 0x1000) & 0xffffe000;
}

static inline u32 round_tf32_even(u32 bits) {
    return (bits & 0x7f800000) == 0x7f800000 ? bits
                                             : (bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000;
}

/* ---- f64 */

static inline f64 fma_f64(f64 x, f64 y, f64 z) {
    return __builtin_fma(x, y, z);
}

static inline f64 square_root64(f64 x) {
    return __builtin_sqrt(x);
}

static inline f64 minimum64(f64 x, f64 y) {
    if (x != x) return y;
    if (y != y) return x;
    return x < y || (x == y && (s64)bits_f64(x) < 0) ? x : y;
}

static inline f64 maximum64(f64 x, f64 y) {
    if (x != x) return y;
    if (y != y) return x;
    return x > y || (x == y && (s64)bits_f64(x) >= 0) ? x : y;
}

static inline f64 absolute64(f64 x) {
    return f64_bits(bits_f64(x) & ~(1ull << 63));
}

static inline f64 copy_sign64(f64 sign, f64 magnitude) {
    return f64_bits((bits_f64(sign) & 1ull << 63) | (bits_f64(magnitude) & ~(1ull << 63)));
}

/* ---- f16 and bf16 fma: the product is exact in f64; the sum is rounded to odd, so that rounding
 * it again is right */

static inline f64 add_to_odd(f64 p, f64 c) {
    f64 sum = p + c, back = sum - p;
    f64 error = (p - (sum - back)) + (c - back);
    u64 bits = bits_f64(sum);

    if (error == 0 || error != error || sum - sum != 0 || (bits & 1)) return sum;
    return f64_bits((error > 0) == (sum > 0) ? bits + 1 : bits - 1);
}

/* f64 to f32, rounded to odd. */
static inline f32 odd_f32(f64 x) {
    f32 r = (f32)x;
    u32 bits = bits_f32(r);

    if ((f64)r == x || x != x || r - r != 0 || (bits & 1)) return r;
    return f32_bits((x > (f64)r) == (x > 0) ? bits + 1 : bits - 1);
}

static inline u16 fma_f16(u16 x, u16 y, u16 z) {
    f64 p = (f64)half_to_f32(x) * (f64)half_to_f32(y);

    return f32_to_half(odd_f32(add_to_odd(p, (f64)half_to_f32(z))));
}

static inline u16 fma_bf16(u16 x, u16 y, u16 z) {
    f64 p = (f64)bf16_to_f32(x) * (f64)bf16_to_f32(y);

    return f32_to_bf16(odd_f32(add_to_odd(p, (f64)bf16_to_f32(z))));
}

static inline u16 half_add(u16 x, u16 y) {
    return f32_to_half(half_to_f32(x) + half_to_f32(y));
}

static inline u16 half_sub(u16 x, u16 y) {
    return f32_to_half(half_to_f32(x) - half_to_f32(y));
}

static inline u16 half_mul(u16 x, u16 y) {
    return f32_to_half(half_to_f32(x) * half_to_f32(y));
}

static inline u16 flush16(u16 x) {
    return x & 0x7c00 ? x : x & 0x8000;
}

/* To [0, 1]; NaN becomes 0. */
static inline u16 saturate16(u16 x) {
    return (x & 0x8000) || (x & 0x7fff) > 0x7c00 ? 0 : x > 0x3c00 ? 0x3c00 : x;
}

/* Negative numbers become +0, NaN stays. */
static inline u16 relu16(u16 x) {
    return x & 0x8000 ? 0 : x;
}

/* ---- integers */

static inline s32 saturate_s32(s64 x) {
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (s32)x;
}

/* A whole number to the nearest s32; NaN becomes 0. */
static inline s32 clamp_s32(f32 x) {
    s32 inside = (s32)(x >= -0x1p31f && x < 0x1p31f ? x : 0.0f);

    return x >= 0x1p31f ? INT32_MAX : x < -0x1p31f ? INT32_MIN : inside;
}

static inline s32 sign_extend(s32 x, u32 bits) {
    return (s32)((u32)x << (32 - bits)) >> (32 - bits);
}

static inline u32 reverse_bits(u32 x) {
    x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
    x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(x);
}

/* ~0 if there is none. */
static inline u32 highest_bit(u64 x) {
    return x ? 63 - (u32)__builtin_clzll(x) : ~0u;
}

static inline u32 shift_to_top(u32 bit, u32 top) {
    return bit == ~0u ? bit : top - bit;
}

static inline u64 extract_bits(u64 x, u32 at, u32 count) {
    u64 shifted = at > 63 ? 0 : x >> at;

    return count > 63 ? shifted : shifted & ((1ull << count) - 1);
}

/* Bits beyond the top are copies of the sign. */
static inline s64 extract_signed(s64 x, u32 at, u32 count, u32 width) {
    if (count == 0) return 0;
    s64 shifted = x >> (at > 63 ? 63 : at);
    u32 kept = count > width ? width : count;
    return (s64)((u64)shifted << (64 - kept)) >> (64 - kept);
}

static inline u32 bit_mask(u32 at, u32 count) {
    u64 ones = count > 31 ? 0xffffffffull : (1ull << count) - 1;

    return at > 31 ? 0 : (u32)(ones << at);
}

static inline u32 find_nth_set(u32 mask, u32 base, s32 offset) {
    s32 step = offset < 0 ? -1 : 1, left = offset < 0 ? -offset : offset;

    if (base > 31) return ~0u;
    if (offset == 0) return mask >> base & 1 ? base : ~0u;
    for (s32 at = (s32)base; at >= 0 && at < 32; at += step)
        if (mask >> at & 1 && --left == 0) return (u32)at;
    return ~0u;
}

static inline u32 permute_bytes(u32 x, u32 y, u32 selector) {
    u64 both = (u64)y << 32 | x;
    u32 r = 0;

    for (u32 i = 0; i < 4; i++) {
        u32 s = selector >> 4 * i & 15;
        u32 byte = (u32)(both >> 8 * (s & 7)) & 255;
        byte = s & 8 ? (byte & 128 ? 255 : 0) : byte;
        r |= byte << 8 * i;
    }
    return r;
}

/* The selectors of prmt's modes, for control 0 to 3. */
static inline u32 permute_backward(u32 control) {
    static const u16 selector[] = {0x5670, 0x6701, 0x7012, 0x0123};

    return selector[control & 3];
}

static inline u32 permute_edge(u32 control, bool left) {
    static const u16 l[] = {0x3210, 0x3211, 0x3222, 0x3333}, r[] = {0x0000, 0x1110, 0x2210, 0x3210};

    return left ? l[control & 3] : r[control & 3];
}

static inline u32 dot_bytes(u32 x, u32 y, bool signed_x, bool signed_y) {
    u32 sum = 0;

    for (int i = 0; i < 32; i += 8) {
        s32 a = signed_x ? (s8)(x >> i) : (u8)(x >> i);
        s32 b = signed_y ? (s8)(y >> i) : (u8)(y >> i);
        sum += (u32)(a * b);
    }
    return sum;
}

/* Two 16-bit numbers of x times the two lower bytes of y. */
static inline u32 dot_pairs(u32 x, u32 y, bool signed_x, bool signed_y) {
    u32 sum = 0;

    for (int i = 0; i < 2; i++) {
        s32 a = signed_x ? (s16)(x >> 16 * i) : (u16)(x >> 16 * i);
        s32 b = signed_y ? (s8)(y >> 8 * i) : (u8)(y >> 8 * i);
        sum += (u32)(a * b);
    }
    return sum;
}

/* The upper 32 of the 48 bits that two numbers of 24 make. */
static inline u32 high24(u32 x, u32 y) {
    return (u32)((u64)(x & 0xffffff) * (y & 0xffffff) >> 16);
}

static inline s32 high24_signed(u32 x, u32 y) {
    return (s32)((s64)sign_extend((s32)x, 24) * sign_extend((s32)y, 24) >> 16);
}

static inline s32 relu_s32(s32 x) {
    return x < 0 ? 0 : x;
}

static inline s32 clamp_to(s32 x, s32 least, s32 most) {
    return x < least ? least : x > most ? most : x;
}

/* A magnitude with the sign that x and y have as a product. */
static inline f32 with_sign(f32 magnitude, f32 x, f32 y) {
    if (magnitude != magnitude) return nan_f32();
    return f32_bits(bits_f32(magnitude) | ((bits_f32(x) ^ bits_f32(y)) & 0x80000000));
}

#endif
