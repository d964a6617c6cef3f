/* label: unit
 * moetune db explain: the row of each step with its match, and each reason to pass others over. */
#include "core/pipeline.h"
#include "db_files.h"
#include "report/db_explain.h"
#include "workbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char folder[64], path[128];

static moe_record record_of(moe_op_kind kind, int64_t number, int64_t tokens, double med) {
    moe_record record = db_files_record("00000001", number, 1, med, "2026-05-01T00:00:00Z");
    moe_layer layer;
    assert_int_equal(moe_layer_parse("d=64 f=32 e=4 k=2", &layer), MOE_OK);
    record.op = moe_op_make(kind, &layer, tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    return record;
}

static void put(moe_op_kind kind, int64_t number, int64_t tokens, double med, bool coded) {
    char ptx[] = "ptx";
    const moe_record record = record_of(kind, number, tokens, med);
    db_files_put(path, &record, NULL, coded ? ptx : NULL);
}

/* What is said of T tokens on a device; the caller frees it. */
static char *explain(const moe_facts *facts, int64_t tokens, bool json, moe_status expected) {
    char *text = NULL;
    size_t size;
    moe_goal goal = {.layers = 1, .token_count = 1, .tokens = {tokens}, .routings = 1};
    assert_int_equal(moe_layer_parse("d=64 f=32 e=4 k=2", &goal.layer[0]), MOE_OK);
    const moe_explain asked = {.path = path, .device = "test", .facts = facts, .goal = &goal,
                               .json = json};
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    moe_status status = moe_db_explain(&asked, to);
    fclose(to);
    if (status != expected) fail_msg("status %d: %s", (int)status, moe_error_text());
    return text;
}

static void need_text(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("'%s' is not in: %s", part, text);
}

static void test_rows_taken_and_passed_over_are_told(void **state) {
    (void)state;
    char *text = explain(&db_files_facts, 16, false, MOE_OK);
    need_text(text, "t=16 routing=uniform on test: pipeline separate\n");
    need_text(text, "gemm@00000001 number=1  exact");
    need_text(text, "fits worse: near_tokens, tuned at t=64 on sim:test");
    need_text(text, "      1  slower ");
    need_text(text, "0.20  gemm@00000001 number=2");
    need_text(text, "within the noise; the default wins, then the lower text");
    need_text(text, "no code is kept of it");
    need_text(text, "wrong");
    free(text);
    text = explain(&db_files_facts, 40, false, MOE_OK);
    need_text(text, "gemm@00000001 number=4  near_tokens");
    need_text(text, "tuned at t=64, not t=40");
    need_text(text, "      3  fits worse: near_tokens, tuned at t=16 on sim:test");
    free(text);
    text = explain(&db_files_facts, 16, true, MOE_OK);
    need_text(text, "\"passed_over\"");
    free(text);
}

static void test_a_device_that_runs_none_hears_why(void **state) {
    (void)state;
    moe_facts older = db_files_facts;
    strcpy(older.arch, "sm_75");
    older.sm = 75;
    char *text = explain(&older, 16, false, MOE_E_NOT_FOUND);
    need_text(moe_error_text(), "no tuned kernel of route");
    need_text(text, "pipeline none");
    need_text(text, "no row serves it");
    need_text(text, "the device does not run code of its arch");
    free(text);
}

static int write_rows(void **state) {
    (void)state;
    const moe_pipeline_info *form = &moe_pipeline_table[MOE_PIPELINE_separate];
    workbench_folder(folder);
    snprintf(path, sizeof path, "%s/rows.db", folder);
    for (int i = 0; i < form->steps; i++) put(form->step[i].op, 1, 16, 100, true);
    put(MOE_OP_gemm_up, 2, 16, 200, true);
    put(MOE_OP_gemm_up, 3, 16, 100.5, true);
    put(MOE_OP_gemm_up, 4, 64, 90, true);
    put(MOE_OP_gemm_up, 5, 16, 900, false);
    moe_record bad = record_of(MOE_OP_gemm_up, 6, 16, 0);
    bad.measurement = (moe_measurement){.outcome = MOE_OUTCOME_WRONG, .timer = MOE_TIMER_MODEL};
    db_files_put(path, &bad, NULL, NULL);
    return 0;
}

static int drop_folder(void **state) {
    (void)state;
    workbench_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_taken_and_passed_over_are_told),
        cmocka_unit_test(test_a_device_that_runs_none_hears_why),
    };
    return cmocka_run_group_tests(tests, write_rows, drop_folder);
}
