/* number.c - bf16, f16 and f32 as bit patterns. bf16 is the upper half of an f32; f16 is IEEE 754
 * binary16. The f16 conversions are branch-free so that a compiler can vectorise the blocks. */
#include "core/number.h"

#include <math.h>
#include <string.h>

static uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_bf16(uint16_t half) { return bits_float((uint32_t)half << 16); }

static uint16_t to_bf16(float value) {
    uint32_t bits = float_bits(value);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    uint32_t nan = bits >> 16 | 0x40u; /* quiet; rounding could carry a NaN into infinity */
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

/* Moving exponent and mantissa into place leaves the exponent 112 too small; the product puts that
 * right for normal and subnormal halves alike. Infinities and NaN overflow it by design. */
static float from_f16(uint16_t half) {
    uint32_t magnitude = (uint32_t)(half & 0x7fffu) << 13;
    uint32_t finite = float_bits(bits_float(magnitude) * 0x1p112f);
    uint32_t special = magnitude | 0x7f800000u;
    uint32_t bits = magnitude >= 0x7c00u << 13 ? special : finite;
    return bits_float(bits | (uint32_t)(half & 0x8000u) << 16);
}

static uint16_t to_f16(float value) {
    uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    /* Below 2^-14 the unit of the result is 2^-24: adding 0.5, whose last bit is 2^-24, rounds. */
    uint32_t small = float_bits(bits_float(magnitude) + 0.5f) - float_bits(0.5f);
    uint32_t normal = (magnitude + 0xfffu + (magnitude >> 13 & 1u) - (112u << 23)) >> 13;
    uint32_t half = magnitude < 0x38800000u ? small : normal;
    if (magnitude >= 0x477ff000u) half = 0x7c00u; /* 65520 and more round to infinity */
    if (magnitude > 0x7f800000u) half = 0x7e00u | (magnitude >> 13 & 0x3ffu);
    return (uint16_t)(sign | half);
}

/* A float that rounds to any shorter format like `value` itself: inexact results are rounded to
 * odd, which keeps them off every tie (Boldo and Melquiond, "When double rounding is odd"). */
static float odd_float(double value) {
    float nearest = (float)value;
    if ((double)nearest == value || isnan(value)) return nearest;
    uint32_t bits = float_bits(nearest);
    if (fabs((double)nearest) > fabs(value)) bits--;
    return bits_float(bits | 1u);
}

double moe_load(moe_dtype dtype, const void *array, int64_t i) {
    float value;
    moe_load_block(dtype, array, i, 1, &value);
    return (double)value;
}

void moe_store(moe_dtype dtype, void *array, int64_t i, double value) {
    float single = dtype == MOE_F32 ? (float)value : odd_float(value);
    moe_store_block(dtype, array, i, 1, &single);
}

double moe_round(moe_dtype dtype, double value) {
    float stored;
    moe_store(dtype, &stored, 0, value);
    return moe_load(dtype, &stored, 0);
}

void moe_load_block(moe_dtype dtype, const void *array, int64_t first, int64_t n, float *out) {
    const uint16_t *halves = (const uint16_t *)array + first;
    switch (dtype) {
    case MOE_BF16:
        for (int64_t i = 0; i < n; i++) out[i] = from_bf16(halves[i]);
        break;
    case MOE_F16:
        for (int64_t i = 0; i < n; i++) out[i] = from_f16(halves[i]);
        break;
    default: memcpy(out, (const float *)array + first, (size_t)n * sizeof *out);
    }
}

void moe_store_block(moe_dtype dtype, void *array, int64_t first, int64_t n, const float *values) {
    uint16_t *halves = (uint16_t *)array + first;
    switch (dtype) {
    case MOE_BF16:
        for (int64_t i = 0; i < n; i++) halves[i] = to_bf16(values[i]);
        break;
    case MOE_F16:
        for (int64_t i = 0; i < n; i++) halves[i] = to_f16(values[i]);
        break;
    default: memcpy((float *)array + first, values, (size_t)n * sizeof *values);
    }
}

double moe_unit_roundoff(moe_dtype dtype) { return moe_dtype_table[dtype].roundoff; }
