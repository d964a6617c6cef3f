/* label: sim
 * Whole layers as graphs, on a device that records launches and plays them back. */
#include "judge/layer_replay.h"
#include "scripted_device.h"
#include "tune/spot.h"
#include "workbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct rig {
    char folder[64];
    workbench bench;
    script *script;
    moe_device *device;
    moe_layer_case *c;
    moe_plan *plan;
} rig;

static void open_rig(rig *r, moe_entry entry, bool graphs) {
    char db[128];
    moe_layer layer;
    workbench_folder(r->folder);
    snprintf(db, sizeof db, "%s/t.db", r->folder);
    workbench_open(&r->bench, "sim:a100", "templates", db);
    r->script = script_new("sim:a100");
    r->script->graphs = graphs;
    r->device = scripted_open(r->script);
    assert_int_equal(moe_layer_parse("d=64 f=32 e=4 k=2 capacity=1.25", &layer), MOE_OK);
    assert_int_equal(moe_layer_case_open(r->device, &layer, 9, MOE_ROUTING_UNIFORM, entry, 1,
                                         &r->c),
                     MOE_OK);
    assert_int_equal(moe_default_plan(r->device, r->bench.gen, r->bench.builder, &layer, 9,
                                      moe_pipeline_table, &r->plan),
                     MOE_OK);
}

static void close_rig(rig *r) {
    moe_plan_destroy(r->plan);
    moe_layer_case_close(r->c);
    moe_device_close(r->device);
    script_free(r->script);
    workbench_close(&r->bench);
    workbench_remove(r->folder);
}

static void judge(rig *r) {
    moe_layer_verdict verdict;
    assert_int_equal(moe_layer_case_judge_y(r->c, &verdict), MOE_OK);
    if (!verdict.ok) fail_msg("%s", verdict.text);
}

/* Judged by what it leaves in y, which is never written before. */
static void test_a_replay_is_the_run(void **state) {
    (void)state;
    for (moe_entry entry = 0; entry < MOE_ENTRY_COUNT; entry++) {
        rig r = {0};
        moe_layer_replay replay;
        char note[256];
        open_rig(&r, entry, true);
        const moe_plan *plan = r.plan;
        assert_int_equal(
            moe_layer_replays_open(r.device, r.c, &plan, 1, &replay, note, sizeof note), MOE_OK);
        assert_string_equal(note, "");
        assert_true(r.script->events >= 4);
        for (int i = 0; i < 3; i++) assert_int_equal(moe_layer_replay_run(&replay), MOE_OK);
        assert_int_equal(r.script->replays, 3);
        judge(&r);
        moe_layer_replays_close(&replay, 1);
        assert_int_equal(r.script->open_graphs, 0);
        close_rig(&r);
    }
}

/* y was right before: a replay that leaves it alone is found out, one that writes it is not. */
static void test_a_replay_is_judged_by_what_it_writes(void **state) {
    (void)state;
    rig r = {0};
    moe_layer_replay replay;
    moe_layer_verdict verdict;
    char note[256];
    open_rig(&r, MOE_ENTRY_ROUTER, true);
    const moe_plan *plan = r.plan;
    assert_int_equal(
        moe_layer_replays_open(r.device, r.c, &plan, 1, &replay, note, sizeof note), MOE_OK);
    assert_int_equal(moe_layer_replay_judge(&replay, &verdict), MOE_OK);
    if (!verdict.ok) fail_msg("%s", verdict.text);
    r.script->forget = true;
    assert_int_equal(moe_layer_replay_judge(&replay, &verdict), MOE_OK);
    assert_false(verdict.ok);
    assert_int_equal(strncmp(verdict.text, "replayed: y[", 12), 0);
    moe_layer_replays_close(&replay, 1);
    int64_t before = r.script->replays;
    assert_int_equal(moe_layer_replay_judge(&replay, &verdict), MOE_OK); /* nothing to replay */
    assert_true(verdict.ok);
    assert_int_equal(r.script->replays, before);
    close_rig(&r);
}

static void check_launched(rig *r, const char *why) {
    moe_layer_replay replays[2];
    char note[256];
    const moe_plan *plans[] = {r->plan, r->plan};
    assert_int_equal(
        moe_layer_replays_open(r->device, r->c, plans, 2, replays, note, sizeof note), MOE_OK);
    assert_string_equal(note, why);
    for (int i = 0; i < 2; i++) {
        assert_null(replays[i].graph);
        assert_int_equal(moe_layer_replay_run(&replays[i]), MOE_OK);
        judge(r);
    }
    assert_int_equal(r->script->replays, 0);
    assert_int_equal(r->script->open_graphs, 0);
    moe_layer_replays_close(replays, 2);
}

/* Several plans share one workspace, and none is replayed where one cannot be. */
static void test_without_graphs_it_is_launched(void **state) {
    (void)state;
    for (int graphs = 0; graphs < 2; graphs++) { /* none, as on a simulated GPU, or refused */
        rig r = {0};
        open_rig(&r, MOE_ENTRY_ROUTER, graphs);
        r.script->refuse_graphs = true;
        check_launched(&r, graphs ? "no graphs today; launched kernel by kernel instead" : "");
        close_rig(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_replay_is_the_run),
        cmocka_unit_test(test_a_replay_is_judged_by_what_it_writes),
        cmocka_unit_test(test_without_graphs_it_is_launched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
