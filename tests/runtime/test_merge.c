/* label: unit - experts averaged into one, by numbers that were worked out on paper. */
#include "check.h"

#include "core/number.h"
#include "moetune.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* A mix is divided by its sum: 1/2 1/4 1/4 of 1 2 3 is 7/4, and of 4 -2 0 it is 3/2. */
static void averages(void **unused) {
    (void)unused;
    static const double numbers[3][2] = {{1, 4}, {2, -2}, {3, 0}}, mix[3] = {4, 2, 2};
    for (int dtype = 0; dtype < MOE_FLOATS; dtype++) {
        float room[3][2], out[2];
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 2; i++) moe_store((moe_dtype)dtype, room[j], i, numbers[j][i]);
        const void *expert[3] = {room[0], room[1], room[2]};
        CHECK(moe_merge_experts((moe_dtype)dtype, expert, mix, 3, 2, out));
        assert_true(moe_load((moe_dtype)dtype, out, 0) == 1.75);
        assert_true(moe_load((moe_dtype)dtype, out, 1) == 1.5);
    }
}

/* 1 + 2^-8 lies between two bf16; a third of 3 * 2^-9 more is not lost by rounding twice. */
static void sums_are_rounded_once(void **unused) {
    (void)unused;
    uint16_t one, next, small, out;
    static const double mix[3] = {1, 1, 1};
    moe_store(MOE_BF16, &one, 0, 3);
    moe_store(MOE_BF16, &next, 0, 3 * 0x1p-8);
    moe_store(MOE_BF16, &small, 0, 3 * 0x1p-40);
    const void *expert[3] = {&one, &next, &small};
    CHECK(moe_merge_experts(MOE_BF16, expert, mix, 2, 1, &out));
    assert_true(moe_load(MOE_BF16, &out, 0) == 1.5078125); /* (3 + 3/256) / 2 = 1.505859375 */
    CHECK(moe_merge_experts(MOE_BF16, expert, mix, 3, 1, &out));
    assert_true(moe_load(MOE_BF16, &out, 0) == 1.0078125); /* above the tie of 1 + 2^-8, so up */
}

/* Over many blocks, into one of the experts; what has no weight may be anything. */
static void any_length_in_place(void **unused) {
    (void)unused;
    enum { N = 5000 };
    static float a[N], b[N], nothing[N];
    static const double mix[3] = {1, 0, 3};
    const void *expert[3] = {a, nothing, b};
    for (int i = 0; i < N; i++) a[i] = (float)i, b[i] = (float)(2 * i), nothing[i] = NAN;
    CHECK(moe_merge_experts(MOE_F32, expert, mix, 3, N, a));
    for (int i = 0; i < N; i++) assert_true(a[i] == (float)i * 1.75f);
}

static void what_has_no_average(void **unused) {
    (void)unused;
    float a[1] = {1}, out[1];
    const void *expert[2] = {a, a}, *missing[2] = {a, NULL};
    const double good[2] = {1, 1}, none[2] = {0, 0}, below[2] = {2, -1}, strange[2] = {1, INFINITY};
    CHECK_FAILS(moe_merge_experts(MOE_F32, expert, good, 0, 1, out), MOE_E_INVALID,
                "an expert or more");
    CHECK_FAILS(moe_merge_experts(MOE_F32, missing, good, 2, 1, out), MOE_E_INVALID,
                "expert 1 is NULL");
    CHECK_FAILS(moe_merge_experts(MOE_F32, expert, none, 2, 1, out), MOE_E_INVALID, "add up to 0");
    CHECK_FAILS(moe_merge_experts(MOE_F32, expert, below, 2, 1, out), MOE_E_INVALID,
                "weight 1 of the mix is -1");
    CHECK_FAILS(moe_merge_experts(MOE_F32, expert, strange, 2, 1, out), MOE_E_INVALID,
                "weight 1 of the mix");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages),
        cmocka_unit_test(sums_are_rounded_once),
        cmocka_unit_test(any_length_in_place),
        cmocka_unit_test(what_has_no_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
