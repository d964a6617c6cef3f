/* label: sim
 * Whole layers as graphs: a simulated GPU behind a class that records launches and plays them
 * back. */
#include "judge/layer_replay.h"
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

enum { MOST = 16, ARGS = 1024 };

/* A launch, or a fill where there is no module. */
typedef struct event {
    void *module;
    int entry, byte;
    moe_dims dims;
    moe_ptr to;
    size_t size;
    _Alignas(128) unsigned char args[ARGS];
} event;

static struct {
    const moe_device_class *under;
    event event[MOST];
    int events, replays, open;
    bool refuse; /* to make a graph */
    bool forget; /* to play the last event */
} tape;
static int stream_object;

static event *record(void) {
    assert_true(tape.events < MOST);
    return &tape.event[tape.events++];
}

static moe_status launch(void *self, void *module, int entry, const moe_dims *dims,
                         const void *args, size_t size, void *stream) {
    if (stream != &stream_object)
        return tape.under->launch(self, module, entry, dims, args, size, stream);
    event *e = record();
    *e = (event){.module = module, .entry = entry, .dims = *dims, .size = size};
    assert_true(size <= ARGS);
    memcpy(e->args, args, size);
    return MOE_OK;
}

static moe_status fill(void *self, moe_ptr to, int byte, size_t bytes, void *stream) {
    if (stream != &stream_object) return tape.under->fill(self, to, byte, bytes, stream);
    *record() = (event){.to = to, .byte = byte, .size = bytes};
    return MOE_OK;
}

static moe_status graph_begin(void *self, void **stream) {
    (void)self;
    *stream = &stream_object;
    return MOE_OK;
}

static moe_status graph_end(void *self, void *stream, void **graph) {
    (void)self;
    assert_ptr_equal(stream, &stream_object);
    if (tape.refuse) return moe_fail(MOE_E_DEVICE, "no graphs today");
    tape.open++;
    *graph = &tape;
    return MOE_OK;
}

static moe_status graph_launch(void *self, void *graph) {
    assert_ptr_equal(graph, &tape);
    tape.replays++;
    for (const event *e = tape.event; e < tape.event + tape.events - tape.forget; e++)
        MOE_TRY(e->module ? tape.under->launch(self, e->module, e->entry, &e->dims, e->args,
                                               e->size, NULL)
                          : tape.under->fill(self, e->to, e->byte, e->size, NULL));
    return MOE_OK;
}

static void graph_free(void *self, void *graph) {
    (void)self;
    assert_ptr_equal(graph, &tape);
    tape.open--;
}

typedef struct rig {
    char folder[64];
    workbench bench;
    moe_device_class class;
    moe_device device;
    moe_layer_case *c;
    moe_plan *plan;
} rig;

static void open_rig(rig *r, moe_entry entry) {
    char db[128];
    moe_layer layer;
    memset(&tape, 0, sizeof tape);
    workbench_folder(r->folder);
    snprintf(db, sizeof db, "%s/t.db", r->folder);
    workbench_open(&r->bench, "sim:a100", "templates", db);
    r->class = *r->bench.device->class;
    tape.under = r->bench.device->class;
    r->class.launch = launch;
    r->class.fill = fill;
    r->class.graph_begin = graph_begin;
    r->class.graph_end = graph_end;
    r->class.graph_launch = graph_launch;
    r->class.graph_free = graph_free;
    r->device = *r->bench.device;
    r->device.class = &r->class;
    assert_int_equal(moe_layer_parse("d=64 f=32 e=4 k=2 capacity=1.25", &layer), MOE_OK);
    assert_int_equal(moe_layer_case_open(&r->device, &layer, 9, MOE_ROUTING_UNIFORM, entry, 1,
                                         &r->c),
                     MOE_OK);
    assert_int_equal(moe_default_plan(&r->device, r->bench.gen, r->bench.builder, &layer, 9,
                                      moe_pipeline_table, &r->plan),
                     MOE_OK);
}

static void close_rig(rig *r) {
    moe_plan_destroy(r->plan);
    moe_layer_case_close(r->c);
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
        open_rig(&r, entry);
        const moe_plan *plan = r.plan;
        assert_int_equal(
            moe_layer_replays_open(&r.device, r.c, &plan, 1, &replay, note, sizeof note), MOE_OK);
        assert_string_equal(note, "");
        assert_true(tape.events >= 4);
        for (int i = 0; i < 3; i++) assert_int_equal(moe_layer_replay_run(&replay), MOE_OK);
        assert_int_equal(tape.replays, 3);
        judge(&r);
        moe_layer_replays_close(&replay, 1);
        assert_int_equal(tape.open, 0);
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
    open_rig(&r, MOE_ENTRY_ROUTER);
    const moe_plan *plan = r.plan;
    assert_int_equal(
        moe_layer_replays_open(&r.device, r.c, &plan, 1, &replay, note, sizeof note), MOE_OK);
    assert_int_equal(moe_layer_replay_judge(&replay, &verdict), MOE_OK);
    if (!verdict.ok) fail_msg("%s", verdict.text);
    tape.forget = true;
    assert_int_equal(moe_layer_replay_judge(&replay, &verdict), MOE_OK);
    assert_false(verdict.ok);
    assert_int_equal(strncmp(verdict.text, "replayed: y[", 12), 0);
    moe_layer_replays_close(&replay, 1);
    int before = tape.replays;
    assert_int_equal(moe_layer_replay_judge(&replay, &verdict), MOE_OK); /* nothing to replay */
    assert_true(verdict.ok);
    assert_int_equal(tape.replays, before);
    close_rig(&r);
}

/* Several plans share one workspace, and none is replayed where one cannot be. */
static void test_without_graphs_it_is_launched(void **state) {
    (void)state;
    rig r = {0};
    moe_layer_replay replays[2];
    char note[256];
    open_rig(&r, MOE_ENTRY_ROUTER);
    const moe_plan *plans[] = {r.plan, r.plan};
    tape.refuse = true;
    assert_int_equal(
        moe_layer_replays_open(&r.device, r.c, plans, 2, replays, note, sizeof note), MOE_OK);
    assert_string_equal(note, "no graphs today; launched kernel by kernel instead");
    for (int i = 0; i < 2; i++) {
        assert_null(replays[i].graph);
        assert_int_equal(moe_layer_replay_run(&replays[i]), MOE_OK);
        judge(&r);
    }
    assert_int_equal(tape.replays, 0);
    moe_layer_replays_close(replays, 2);
    r.class.graph_begin = NULL; /* as on a simulated GPU */
    assert_int_equal(
        moe_layer_replays_open(&r.device, r.c, plans, 2, replays, note, sizeof note), MOE_OK);
    assert_string_equal(note, "");
    assert_int_equal(moe_layer_replay_run(&replays[1]), MOE_OK);
    close_rig(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_replay_is_the_run),
        cmocka_unit_test(test_a_replay_is_judged_by_what_it_writes),
        cmocka_unit_test(test_without_graphs_it_is_launched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
