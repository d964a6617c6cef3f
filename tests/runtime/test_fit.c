/* label: unit
 * How rows are graded for a device: what a model said of a GPU is no measurement on it. */
#include "check.h"

#include "run/fit.h"

#include <string.h>

static moe_facts facts_of(const char *text) {
    moe_facts facts;
    CHECK(moe_facts_parse(text, &facts));
    return facts;
}

static const char gpu[] = "sm_90a \"NVIDIA H100\" sm=90 sms=132 smem=232448 smem_sm=233472 "
                          "regs_sm=65536 threads_sm=2048 blocks_sm=32 l2=52428800 "
                          "memory=85520809984 clock=1980 bandwidth=3352 tensor_rate=4096 "
                          "simulated=0";

/* Measured at 64 tokens on the device that `gpu` is. */
static const moe_origin here = {
    .name = "NVIDIA H100", .arch = "sm_90a", .sms = 132, .tokens = 64, .code_arch = "sm_90a",
    .has_cubin = true, .has_ptx = true,
    .measurement = {.outcome = MOE_OUTCOME_OK, .n = 50, .med = 1000, .timer = MOE_TIMER_CUPTI},
};

static void check_reason(const moe_origin *origin, const moe_want *want, const char *part) {
    char text[MOE_FIT_TEXT_SIZE];
    moe_fit_reason(origin, want, 64, text, sizeof text);
    CHECK_CONTAINS(text, part);
}

static void test_a_models_time_is_no_measurement(void **state) {
    (void)state;
    const moe_facts facts = facts_of(gpu);
    const moe_want want = {.facts = &facts, .k = 2};
    moe_origin simulated = here, by_model = here, elsewhere = here;
    simulated.simulated = 1;
    by_model.measurement.timer = MOE_TIMER_MODEL;
    strcpy(elsewhere.name, "NVIDIA H200");
    const moe_fit exact = moe_fit_of(&here, &want, 64);
    const moe_fit measured = moe_fit_of(&elsewhere, &want, 8); /* three doublings away */
    assert_int_equal(exact.match, MOE_MATCH_EXACT);
    assert_int_equal(measured.match, MOE_MATCH_NEAR_DEVICE);
    const moe_origin *const modelled[] = {&simulated, &by_model};
    for (int i = 0; i < 2; i++) {
        const moe_fit fit = moe_fit_of(modelled[i], &want, 64);
        assert_int_equal(fit.match, MOE_MATCH_NEAR_DEVICE);
        assert_true(moe_fit_better(measured, 8, fit, 64));
        check_reason(modelled[i], &want, "modelled, not measured: 1 us");
    }
    check_reason(&here, &want, "measured 1 us by cupti, n=50 on this device");
}

/* To a simulated device the model's time is its time. */
static void test_on_a_simulated_device_it_is_exact(void **state) {
    (void)state;
    moe_facts facts = facts_of(gpu);
    facts.simulated = 1;
    const moe_want want = {.facts = &facts, .k = 2};
    moe_origin row = here;
    row.simulated = 1;
    row.measurement.timer = MOE_TIMER_MODEL;
    row.measurement.n = 1;
    assert_int_equal(moe_fit_of(&row, &want, 64).match, MOE_MATCH_EXACT);
    check_reason(&row, &want, "modelled 1 us");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_models_time_is_no_measurement),
        cmocka_unit_test(test_on_a_simulated_device_it_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
