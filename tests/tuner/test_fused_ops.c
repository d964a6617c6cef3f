/* label: sim
 * Fused ops on trial: a right kernel passes, and each way of being wrong is seen and named. */
#include "workbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct wanted {
    int64_t fault;
    moe_outcome outcome; /* COUNT: it is not tried */
    const char *log;     /* part of it */
} wanted;

static void try_all(const char *device, const char *text, bool any_order, const wanted *faults,
                    int count) {
    char folder[64], db[128], log[2048];
    workbench bench;
    moe_op_result result;
    moe_op op;
    workbench_folder(folder);
    snprintf(db, sizeof db, "%s/t.db", folder);
    workbench_open(&bench, device, "tests/tuner/templates", db);
    moe_gen_allow_any_order(bench.gen, any_order);
    if (moe_op_parse(text, &op)) fail_msg("%s", moe_error_text());
    if (moe_tune_op(&bench.tuner, &op, 100, moe_seconds() + 60, &result))
        fail_msg("%s", moe_error_text());
    for (int i = 0; i < count; i++) {
        moe_record record = {.op = op, .config = {1, {{"fault", faults[i].fault}}}};
        char image[MOE_HASH_SIZE];
        bool found;
        snprintf(record.template_id, sizeof record.template_id, "%s",
                 result.standard.record.template_id);
        assert_int_equal(
            moe_storage_log(bench.storage, bench.tuner.device_row, &record, log, sizeof log),
            MOE_OK);
        assert_int_equal(
            moe_storage_find(bench.storage, bench.tuner.device_row, &record, image, &found),
            MOE_OK);
        if (faults[i].outcome == MOE_OUTCOME_COUNT && !found) continue;
        if (!found || record.measurement.outcome != faults[i].outcome ||
            !strstr(log, faults[i].log))
            fail_msg("%s\nfault %lld is %s: '%s', should be %s: '%s'", text,
                     (long long)faults[i].fault, moe_outcome_names[record.measurement.outcome], log,
                     moe_outcome_names[faults[i].outcome], faults[i].log);
    }
    workbench_close(&bench);
    workbench_remove(folder);
}

#define TRY_ORDER(device, text, any_order, faults)                                                 \
    try_all(device, text, any_order, faults, (int)(sizeof(faults) / sizeof *(faults)))
#define TRY(device, text, faults) TRY_ORDER(device, text, false, faults)

/* Without its checks the simulated GPU hands over what memory holds, as a real one does. */
static void test_experts(void **state) {
    (void)state;
    static const wanted faults[] = {
        {0, MOE_OUTCOME_OK, ""},
        {1, MOE_OUTCOME_FAULTED, "out of bounds"}, /* h has no room for what is to be dropped */
        {2, MOE_OUTCOME_WRONG, "slot"},
        {3, MOE_OUTCOME_WRONG, "counts["},
        {4, MOE_OUTCOME_WRONG, "mean_probs["},
        {5, MOE_OUTCOME_WRONG, "with a second run: y["},
        {6, MOE_OUTCOME_WRONG, "y["},
    };
    TRY("sim:a100,checks=0", "experts t=9 d=16 f=8 e=4 k=2 act=relu x=f32 capacity=0.8", faults);
}

/* What was never written is seen at once, and no run is taken for another one's. */
static void test_experts_with_checks(void **state) {
    (void)state;
    static const wanted faults[] = {
        {0, MOE_OUTCOME_OK, ""},
        {5, MOE_OUTCOME_FAULTED, "faulty_experts.cu"},
    };
    TRY("sim:a100", "experts t=5 d=16 f=8 e=40 k=3 act=relu x=f32 routing=one", faults);
}

static void test_route_permute(void **state) {
    (void)state;
    static const wanted faults[] = {
        {0, MOE_OUTCOME_OK, ""},
        {1, MOE_OUTCOME_FAULTED, "faulty_router.cu"}, /* there is no router's weight to read */
        {2, MOE_OUTCOME_WRONG, "with rows aligned to 64: expert_start["},
        {3, MOE_OUTCOME_WRONG, "slot_rows[0]"},
        {4, MOE_OUTCOME_WRONG, "counts["},
        {5, MOE_OUTCOME_WRONG, "mean_probs["},
    };
    TRY("sim:a100", "route_permute t=33 d=16 e=5 k=2 x=f32 capacity=1.25", faults);
}

/* Sums in any order are tried by those who allow them. */
static void test_sums(void **state) {
    (void)state;
    static const char text[] = "down_combine t=9 d=16 f=8 e=4 k=2 x=f32 capacity=0.8";
    static const wanted faults[] = {
        {0, MOE_OUTCOME_OK, ""},
        {1, MOE_OUTCOME_WRONG, "y["},
        {2, MOE_OUTCOME_WRONG, "y["},
        {3, MOE_OUTCOME_WRONG, "y["},
        {4, MOE_OUTCOME_COUNT, ""},
        {5, MOE_OUTCOME_WRONG, "with a second run: y["},
    };
    static const wanted allowed[] = {{0, MOE_OUTCOME_OK, ""}, {4, MOE_OUTCOME_OK, ""}};
    TRY("sim:a100,checks=0", text, faults);
    TRY_ORDER("sim:a100,checks=0", text, true, allowed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_experts),
        cmocka_unit_test(test_experts_with_checks),
        cmocka_unit_test(test_route_permute),
        cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
