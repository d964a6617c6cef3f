/* label: unit */
/* test_number.c - the dtypes: every 16-bit pattern, and rounding at every tie. */
#include "core/number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { PATTERNS = 1 << 16 };

/* The value of a 16-bit pattern from the definition of the format. */
static double value_of(unsigned bits, int exponent_bits) {
    int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    int exponent = (int)(bits >> mantissa_bits & ((1u << exponent_bits) - 1));
    double mantissa = bits & ((1u << mantissa_bits) - 1), sign = bits & 0x8000u ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1) return mantissa != 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

static const struct {
    moe_dtype dtype;
    int exponent_bits;
} formats[] = {{MOE_BF16, 8}, {MOE_F16, 5}};

static uint16_t stored(moe_dtype dtype, double value) {
    uint16_t bits;
    moe_store(dtype, &bits, 0, value);
    return bits;
}

static void every_pattern_loads(void **state) {
    (void)state;
    for (int f = 0; f < 2; f++) {
        for (unsigned bits = 0; bits < PATTERNS; bits++) {
            uint16_t half = (uint16_t)bits;
            double want = value_of(bits, formats[f].exponent_bits);
            double got = moe_load(formats[f].dtype, &half, 0);
            assert_true(isnan(want) ? isnan(got) : got == want && signbit(got) == signbit(want));
        }
    }
}

static void every_pattern_survives_a_store(void **state) {
    (void)state;
    for (int f = 0; f < 2; f++) {
        for (unsigned bits = 0; bits < PATTERNS; bits++) {
            double value = value_of(bits, formats[f].exponent_bits);
            uint16_t got = stored(formats[f].dtype, value);
            if (isnan(value))
                assert_true(isnan(value_of(got, formats[f].exponent_bits)));
            else
                assert_int_equal(got, bits);
        }
    }
}

/* Between neighbours of every pair: below the middle, on it, above it. Only the smallest step of a
 * double off the middle, which a float cannot see, tells single from double rounding. */
static void every_gap_rounds_to_nearest_even(void **state) {
    (void)state;
    for (int f = 0; f < 2; f++) {
        moe_dtype dtype = formats[f].dtype;
        unsigned infinity = f ? 0x7c00u : 0x7f80u;
        for (unsigned bits = 0; bits < infinity; bits++) {
            double low = value_of(bits, formats[f].exponent_bits);
            double high = bits + 1 < infinity ? value_of(bits + 1, formats[f].exponent_bits)
                                              : ldexp(1, f ? 16 : 128);
            double middle = low + (high - low) / 2;
            unsigned even = bits & 1u ? bits + 1 : bits;
            assert_int_equal(stored(dtype, middle), even);
            assert_int_equal(stored(dtype, nextafter(middle, 0)), bits);
            assert_int_equal(stored(dtype, nextafter(middle, INFINITY)), bits + 1);
            assert_int_equal(stored(dtype, -middle), even | 0x8000u);
        }
    }
}

static void range_ends(void **state) {
    (void)state;
    assert_int_equal(stored(MOE_F16, 65519.99), 0x7bff);
    assert_int_equal(stored(MOE_F16, 65520), 0x7c00);
    assert_int_equal(stored(MOE_F16, 1e300), 0x7c00);
    assert_int_equal(stored(MOE_BF16, -1e300), 0xff80);
    assert_int_equal(stored(MOE_F16, 0x1p-25), 0);
    assert_int_equal(stored(MOE_F16, 0x1.8p-25), 1);
    assert_int_equal(stored(MOE_BF16, 1e-300), 0);
    assert_int_equal(stored(MOE_BF16, -1e-300), 0x8000);
    assert_true(isnan(moe_round(MOE_F16, NAN)) && isnan(moe_round(MOE_BF16, NAN)));
    assert_true(moe_round(MOE_F32, 1 + 0x1p-24) == 1 && moe_round(MOE_F32, 1e300) == INFINITY);
}

static void blocks_agree_with_elements(void **state) {
    (void)state;
    static float values[1000], back[1000];
    static uint32_t array[1000];
    for (int i = 0; i < 1000; i++) values[i] = (float)ldexp(i * 0.37 - 150, i % 60 - 30);
    for (moe_dtype dtype = 0; (int)dtype < MOE_FLOATS; dtype++) {
        memset(array, 0xff, sizeof array);
        moe_store_block(dtype, array, 3, 900, values);
        moe_load_block(dtype, array, 3, 900, back);
        for (int i = 0; i < 900; i++)
            assert_true((double)back[i] == moe_round(dtype, (double)values[i]) &&
                        (double)back[i] == moe_load(dtype, array, 3 + i));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pattern_loads),
        cmocka_unit_test(every_pattern_survives_a_store),
        cmocka_unit_test(every_gap_rounds_to_nearest_even),
        cmocka_unit_test(range_ends),
        cmocka_unit_test(blocks_agree_with_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
