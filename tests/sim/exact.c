/* exact.c - number formats and correct rounding in quad precision. */
#include "exact.h"

#include <string.h>

typedef struct format_facts {
    int mantissa, exponent; /* bits; the implicit one is not counted */
    int padding;            /* zero bits at the low end (tf32 lives in 32 bits) */
} format_facts;

static const format_facts formats[] = {
    [F16] = {10, 5, 0}, [BF16] = {7, 8, 0}, [TF32] = {10, 8, 13}, [F32] = {23, 8, 0},
    [F64] = {52, 11, 0},
};

static uint64_t ones(int bits) {
    return bits == 64 ? ~0ull : (1ull << bits) - 1;
}

static uint64_t sign_bit(exact_format format) {
    const format_facts *f = &formats[format];

    return 1ull << (f->mantissa + f->exponent + f->padding);
}

static uint64_t infinity_of(exact_format format) {
    const format_facts *f = &formats[format];

    return ones(f->exponent) << (f->mantissa + f->padding);
}

/* 2^power for any power that quad precision holds. */
static exact power_of_two(int power) {
    unsigned __int128 bits = (unsigned __int128)(unsigned)(power + 16383) << 112;
    exact value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

exact exact_of(exact_format format, uint64_t bits) {
    const format_facts *f = &formats[format];
    uint64_t magnitude = (bits & (sign_bit(format) - 1)) >> f->padding;
    uint64_t fraction = magnitude & ones(f->mantissa);
    int exponent = (int)(magnitude >> f->mantissa);
    int bias = (int)ones(f->exponent - 1);
    exact value;

    if ((uint64_t)exponent == ones(f->exponent))
        value = fraction ? (exact)__builtin_nan("") : (exact)__builtin_inf();
    else if (exponent == 0)
        value = (exact)fraction * power_of_two(1 - bias - f->mantissa);
    else
        value = (exact)(fraction + (1ull << f->mantissa)) *
                power_of_two(exponent - bias - f->mantissa);
    return bits & sign_bit(format) ? -value : value;
}

/* Whether a magnitude between two neighbours goes up; `above` compares it with their middle. */
static bool rounds_up(exact_mode mode, bool negative, int above, bool inexact, bool odd) {
    switch (mode) {
    case RN: return above > 0 || (above == 0 && odd);
    case RNA: return above >= 0;
    case RM: return inexact && negative;
    case RP: return inexact && !negative;
    default: return false;
    }
}

static int exponent_of(exact magnitude) {
    unsigned __int128 bits;

    memcpy(&bits, &magnitude, sizeof bits);
    return (int)(bits >> 112 & 0x7fff) - 16383;
}

uint64_t exact_round(exact_format format, exact value, exact_mode mode) {
    const format_facts *f = &formats[format];
    int bias = (int)ones(f->exponent - 1);
    bool negative = __builtin_signbit((double)value) != 0;
    exact magnitude = negative ? -value : value, rest;
    uint64_t sign = negative ? sign_bit(format) : 0, units;
    int exponent;

    if (value != value) return exact_quiet(format);
    if (value == 0 || magnitude == (exact)__builtin_inf())
        return sign | (value == 0 ? 0 : infinity_of(format));
    negative = value < 0;
    magnitude = negative ? -value : value;
    sign = negative ? sign_bit(format) : 0;
    exponent = exponent_of(magnitude);
    if (exponent < 1 - bias) exponent = 1 - bias;
    if (exponent > bias) exponent = bias + 1;
    magnitude *= power_of_two(f->mantissa - exponent); /* units of the last place */
    if (exponent == bias + 1) {
        bool to_infinity = mode == RN || mode == RNA || (mode == RM && negative) ||
                           (mode == RP && !negative);
        return sign | (infinity_of(format) - (to_infinity ? 0 : 1ull << f->padding));
    }
    units = (uint64_t)magnitude;
    rest = magnitude - (exact)units;
    if (rounds_up(mode, negative, rest > 0.5 ? 1 : rest == 0.5 ? 0 : -1, rest > 0, units & 1))
        units++;
    /* The implicit bit adds one to the exponent field, and so does a carry out of the mantissa. */
    units += (uint64_t)(exponent + bias - 1) << f->mantissa;
    return sign | units << f->padding;
}

/* Makes a sum that lost its tail odd in the last place, in the direction of the tail. */
static exact to_odd(exact sum, exact tail) {
    unsigned __int128 bits;

    if (tail == 0 || sum == 0 || tail != tail) return sum;
    memcpy(&bits, &sum, sizeof bits);
    if (!(bits & 1)) bits += (sum > 0) == (tail > 0) ? 1 : -(unsigned __int128)1;
    memcpy(&sum, &bits, sizeof sum);
    return sum;
}

exact exact_add(exact a, exact b) {
    exact sum = a + b, big = a, small = b, tail;

    if (sum != sum || sum - sum != 0) return sum;
    if ((a < 0 ? -a : a) < (b < 0 ? -b : b)) {
        big = b;
        small = a;
    }
    tail = small - (sum - big);
    return to_odd(sum, tail);
}

exact exact_fma(exact a, exact b, exact c) {
    return exact_add(a * b, c); /* 53 + 53 bits: the product is exact */
}

bool exact_nan(exact_format format, uint64_t bits) {
    return (bits & (sign_bit(format) - 1)) > infinity_of(format);
}

uint64_t exact_quiet(exact_format format) {
    return sign_bit(format) - 1;
}

uint64_t exact_flush(exact_format format, uint64_t bits) {
    return bits & infinity_of(format) ? bits : bits & sign_bit(format);
}

uint64_t exact_min(exact_format format, uint64_t a, uint64_t b) {
    if (exact_nan(format, a)) return exact_nan(format, b) ? exact_quiet(format) : b;
    if (exact_nan(format, b)) return a;
    if (exact_of(format, a) == exact_of(format, b)) return a & sign_bit(format) ? a : b;
    return exact_of(format, a) < exact_of(format, b) ? a : b;
}

uint64_t exact_max(exact_format format, uint64_t a, uint64_t b) {
    if (exact_nan(format, a)) return exact_nan(format, b) ? exact_quiet(format) : b;
    if (exact_nan(format, b)) return a;
    if (exact_of(format, a) == exact_of(format, b)) return a & sign_bit(format) ? b : a;
    return exact_of(format, a) > exact_of(format, b) ? a : b;
}

exact exact_integer(exact value, exact_mode mode) {
    exact magnitude = value < 0 ? -value : value, whole, rest;

    if (!(magnitude < power_of_two(100))) return value; /* infinite, NaN, or whole */
    whole = (exact)(unsigned __int128)magnitude;
    rest = magnitude - whole;
    if (rounds_up(mode, value < 0, rest > 0.5 ? 1 : rest == 0.5 ? 0 : -1, rest > 0,
                  (unsigned __int128)whole & 1))
        whole += 1;
    return __builtin_signbit((double)value) ? -whole : whole;
}

uint64_t exact_to_signed(exact value, exact_mode mode, int bits) {
    exact whole = exact_integer(value, mode);
    int64_t most = (int64_t)(ones(bits) >> 1);

    if (value != value) return 0;
    if (whole > (exact)most) return (uint64_t)most;
    if (whole < -(exact)most - 1) return ((uint64_t)most + 1) & ones(bits);
    return (uint64_t)(int64_t)whole & ones(bits);
}

uint64_t exact_to_unsigned(exact value, exact_mode mode, int bits) {
    exact whole = exact_integer(value, mode);

    if (value != value || whole < 0) return 0;
    return whole > (exact)ones(bits) ? ones(bits) : (uint64_t)whole;
}
