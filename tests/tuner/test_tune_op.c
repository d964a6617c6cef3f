/* label: sim
 * Tuning one op: every way a candidate can fail is an outcome with its reason, and nothing that has
 * a row is measured again. */
#include "workbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char templates[] = "tests/tuner/templates";

static moe_op op_of(const char *text) {
    moe_op op;
    if (moe_op_parse(text, &op)) fail_msg("%s", moe_error_text());
    return op;
}

/* Outcomes by the config's `fault`. */
static moe_status see(void *context, const moe_record *record, const char *image) {
    moe_record *by_fault = context;
    int64_t fault = moe_config_get(&record->config, "fault", -1);
    assert_in_range(fault, 0, 7);
    by_fault[fault] = *record;
    assert_int_equal(*image != '\0', record->measurement.outcome == MOE_OUTCOME_OK);
    return MOE_OK;
}

static void test_each_fault_is_an_outcome(void **state) {
    (void)state;
    static const moe_outcome want[8] = {
        MOE_OUTCOME_OK, MOE_OUTCOME_COMPILE_FAILED, MOE_OUTCOME_COMPILE_FAILED,
        MOE_OUTCOME_COMPILE_FAILED, MOE_OUTCOME_WRONG, MOE_OUTCOME_FAULTED,
        MOE_OUTCOME_OVER_LIMIT, MOE_OUTCOME_FAULTED};
    char folder[64], db[128];
    workbench bench;
    moe_op_result result;
    moe_record by_fault[8] = {0};
    workbench_folder(folder);
    snprintf(db, sizeof db, "%s/t.db", folder);
    workbench_open(&bench, "sim:a100", templates, db);
    const moe_op op = op_of("combine t=8 d=64 k=2 x=f32");
    assert_int_equal(moe_tune_op(&bench.tuner, &op, 100, moe_seconds() + 60, &result), MOE_OK);
    assert_int_equal(result.space, 8);
    assert_int_equal(result.measured, 8);
    assert_true(result.complete);
    assert_int_equal(result.finalists, 1);
    assert_int_equal(moe_config_get(&result.finalist[0].record.config, "fault", -1), 0);
    assert_int_equal(result.standard.record.measurement.outcome, MOE_OUTCOME_OK);
    assert_non_null(strstr(result.note, "thrower.lua"));
    assert_non_null(strstr(result.note, "no default on purpose"));
    assert_int_equal(moe_storage_records(bench.storage, bench.tuner.device_row, see, by_fault),
                     MOE_OK);
    for (int fault = 0; fault < 8; fault++) {
        const moe_measurement *m = &by_fault[fault].measurement;
        if (fault == 7) /* an unwritten element is NaN in the result, or caught as it is read */
            assert_true(m->outcome == MOE_OUTCOME_WRONG || m->outcome == MOE_OUTCOME_FAULTED);
        else
            assert_int_equal(m->outcome, want[fault]);
        assert_int_equal(m->timer, MOE_TIMER_MODEL);
        assert_int_equal(m->n, fault == 0);
    }
    assert_true(by_fault[0].measurement.med > 0);
    assert_true(by_fault[4].measurement.err > 0.1);

    moe_op_result again;
    assert_int_equal(moe_tune_op(&bench.tuner, &op, 100, moe_seconds() + 60, &again), MOE_OK);
    assert_int_equal(again.measured, 0);
    assert_int_equal(again.resumed, 8);
    assert_int_equal(again.finalists, 1);
    workbench_close(&bench);
    workbench_remove(folder);
}

/* The log of a failure is kept beside its row. */
static void test_reasons_are_kept(void **state) {
    (void)state;
    static const struct {
        int fault;
        const char *reason;
    } reasons[] = {
        {1, "templates/faulty.cu:4: thrown on purpose"}, {2, "templates/faulty.cu:5"},
        {3, "templates/faulty.cu(10): error"},           {5, "templates/faulty.cu:28"},
        {6, "80000 bytes of static shared memory"},
    };
    char folder[64], db[128], line[2048];
    workbench bench;
    moe_op_result result;
    workbench_folder(folder);
    snprintf(db, sizeof db, "%s/t.db", folder);
    workbench_open(&bench, "sim:a100", templates, db);
    const moe_op op = op_of("combine t=8 d=64 k=2 x=f32");
    assert_int_equal(moe_tune_op(&bench.tuner, &op, 100, moe_seconds() + 60, &result), MOE_OK);
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        moe_record record = {.op = op, .config = {1, {{"fault", reasons[i].fault}}}};
        const moe_template *t = moe_gen_find(bench.gen, "faulty");
        assert_non_null(t);
        snprintf(record.template_id, sizeof record.template_id, "%s", moe_template_id(t));
        assert_int_equal(
            moe_storage_log(bench.storage, bench.tuner.device_row, &record, line, sizeof line),
            MOE_OK);
        if (!strstr(line, reasons[i].reason))
            fail_msg("fault %d: '%s' is not in '%s'", reasons[i].fault, reasons[i].reason, line);
    }
    workbench_close(&bench);
    workbench_remove(folder);
}

static void test_an_op_without_a_good_candidate_has_no_finalist(void **state) {
    (void)state;
    char folder[64], db[128];
    workbench bench;
    moe_op_result result;
    workbench_folder(folder);
    snprintf(db, sizeof db, "%s/t.db", folder);
    workbench_open(&bench, "null", templates, db); /* runs nothing, so every result is wrong */
    const moe_op op = op_of("combine t=8 d=64 k=2 x=f32");
    assert_int_equal(moe_tune_op(&bench.tuner, &op, 100, moe_seconds() + 60, &result), MOE_OK);
    assert_int_equal(result.finalists, 0);
    assert_int_equal(result.outcome[MOE_OUTCOME_OK], 0);
    const moe_op other = op_of("combine t=8 d=64 k=2 x=bf16");
    assert_int_equal(moe_tune_op(&bench.tuner, &other, 100, moe_seconds() + 60, &result),
                     MOE_E_TEMPLATE); /* the only one that serves it throws */
    workbench_close(&bench);
    workbench_remove(folder);
}

/* A simulated device computes every product: what cannot end in time is not begun. */
static void test_what_takes_too_long_is_refused(void **state) {
    (void)state;
    char folder[64], db[128];
    workbench bench;
    moe_op_result result;
    workbench_folder(folder);
    snprintf(db, sizeof db, "%s/t.db", folder);
    workbench_open(&bench, "sim:h100", "templates", db);
    const moe_op op = op_of("gemm_up t=4096 d=4096 f=14336 e=8 k=2");
    double start = moe_seconds();
    assert_int_equal(moe_tune_op(&bench.tuner, &op, 100, start + 10, &result), MOE_OK);
    assert_true(moe_seconds() - start < 100); /* on a busy machine; a run takes far longer */
    assert_int_equal(result.measured, 0);
    assert_non_null(strstr(result.note, "--budget"));
    workbench_close(&bench);
    workbench_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fault_is_an_outcome),
        cmocka_unit_test(test_reasons_are_kept),
        cmocka_unit_test(test_an_op_without_a_good_candidate_has_no_finalist),
        cmocka_unit_test(test_what_takes_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
