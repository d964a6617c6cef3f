/* exact_ops.h - what float instructions give, on bit patterns: the words of the .def files. */
#ifndef EXACT_OPS_H
#define EXACT_OPS_H

#include "exact.h"

static inline uint64_t negated(exact_format format, uint64_t a)
{
    return a ^ (format == F64 ? 1ull << 63 : format == F16 || format == BF16 ? 0x8000 : 0x80000000);
}

/* x + y. An exact zero from different signs is -0 when rounding down. */
static inline uint64_t rounded_sum(exact_format format, exact_mode mode, exact x, exact y)
{
    exact value = exact_add(x, y);
    bool differ = __builtin_signbit((double)x) != __builtin_signbit((double)y);

    if (value == 0 && mode == RM && differ) return negated(format, 0);
    return exact_round(format, value, mode);
}

static inline uint64_t sum(exact_format format, exact_mode mode, uint64_t a, uint64_t b)
{
    return rounded_sum(format, mode, exact_of(format, a), exact_of(format, b));
}

static inline uint64_t product(exact_format format, exact_mode mode, uint64_t a, uint64_t b)
{
    return exact_round(format, exact_of(format, a) * exact_of(format, b), mode);
}

static inline uint64_t fused(exact_format format, exact_mode mode, uint64_t a, uint64_t b,
                             uint64_t c)
{
    return rounded_sum(format, mode, exact_of(format, a) * exact_of(format, b),
                       exact_of(format, c));
}

/* A quotient of p-bit numbers is never so near to the middle of two that 113 bits would hide it. */
static inline uint64_t quotient(exact_format format, exact_mode mode, uint64_t a, uint64_t b)
{
    return exact_round(format, exact_of(format, a) / exact_of(format, b), mode);
}

static inline uint64_t ftz(uint64_t a)
{
    return exact_flush(F32, a);
}

/* Clamped to 0..1; NaN gives 0. */
static inline uint64_t clamped(exact_format format, uint64_t a, uint64_t one)
{
    exact value = exact_of(format, a);

    return !(value > 0) ? 0 : value > 1 ? one : a;
}

static inline uint64_t sat(uint64_t a)
{
    return clamped(F32, a, 0x3f800000);
}

static inline uint64_t sat16(uint64_t a)
{
    return clamped(F16, a, 0x3c00);
}

static inline bool either_nan(exact_format format, uint64_t a, uint64_t b)
{
    return exact_nan(format, a) || exact_nan(format, b);
}

/* A condition on the values x and y of a and b. */
#define compared(condition, format, a, b)                                                          \
    ({                                                                                             \
        exact x = exact_of(format, a), y = exact_of(format, b);                                    \
        condition;                                                                                 \
    })

/* Pairs of 16-bit floats, the first in the low half. */
static inline uint64_t low(uint64_t a)
{
    return a & 0xffff;
}

static inline uint64_t high(uint64_t a)
{
    return a >> 16 & 0xffff;
}

static inline uint64_t pair(uint64_t first, uint64_t second)
{
    return first | second << 16;
}

static inline uint64_t sum2(exact_format format, uint64_t a, uint64_t b)
{
    return pair(sum(format, RN, low(a), low(b)), sum(format, RN, high(a), high(b)));
}

static inline uint64_t difference2(exact_format format, uint64_t a, uint64_t b)
{
    return sum2(format, a, b ^ 0x80008000);
}

static inline uint64_t product2(exact_format format, uint64_t a, uint64_t b)
{
    return pair(product(format, RN, low(a), low(b)), product(format, RN, high(a), high(b)));
}

static inline uint64_t fused2(exact_format format, uint64_t a, uint64_t b, uint64_t c)
{
    return pair(fused(format, RN, low(a), low(b), low(c)),
                fused(format, RN, high(a), high(b), high(c)));
}

/* Negative numbers become 0; NaN stays. */
static inline uint64_t relu(exact_format format, uint64_t a)
{
    return exact_of(format, a) < 0 ? 0 : a;
}

static inline uint64_t relu2(exact_format format, uint64_t a)
{
    return pair(relu(format, low(a)), relu(format, high(a)));
}

/* From one format into another. */
static inline uint64_t narrow(exact_format to, exact_format from, uint64_t a, exact_mode mode)
{
    return exact_round(to, exact_of(from, a), mode);
}

/* What the PTX ISA says of NaN: 0, but 1 << (bits - 1) from f64 and to 64 bits. */
static inline uint64_t to_signed(exact_format format, uint64_t a, exact_mode mode, int bits)
{
    if (exact_nan(format, a) && (format == F64 || bits == 64)) return 1ull << (bits - 1);
    return exact_to_signed(exact_of(format, a), mode, bits);
}

static inline uint64_t to_unsigned(exact_format format, uint64_t a, exact_mode mode, int bits)
{
    if (exact_nan(format, a) && (format == F64 || bits == 64)) return 1ull << (bits - 1);
    return exact_to_unsigned(exact_of(format, a), mode, bits);
}

/* To a whole number in the same format. */
static inline uint64_t integral(exact_format format, uint64_t a, exact_mode mode)
{
    return exact_round(format, exact_integer(exact_of(format, a), mode), RN);
}

#endif
