/* label: sim - whole layers through the public API on the simulated GPU: entries, statistics, maps,
 * repeatability, and a workspace whose contents do not matter. */
#include "check.h"

#include "device/device.h"
#include "judge/layer_case.h"
#include "reference.h"
#include "tune/spot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { D = 64, F = 32, E = 8, K = 2, MOST = 129 };

static moe_device *device;
static moe_gen *gen;
static moe_builder *builder;

static int start(void **unused) {
    (void)unused;
    CHECK(moe_device_open("sim:a100", &device));
    CHECK(moe_gen_open("templates", &gen));
    const moe_ptx_arch arch = moe_arch_of_ptx(moe_device_facts(device)->arch);
    CHECK(moe_builder_open(arch.text, NULL, NULL, &builder));
    return 0;
}

static int stop(void **unused) {
    (void)unused;
    moe_builder_close(builder);
    moe_gen_close(gen);
    moe_device_close(device);
    return 0;
}

/* ---------------------------------------------------------------------------------- one problem */

/* Device arrays of a layer for up to MOST tokens, with the logits kept on the host too. */
typedef struct problem {
    moe_layer layer;
    moe_plan *plan;
    moe_io io;
    float logits[MOST * E];
} problem;

typedef struct outputs {
    uint16_t y[MOST * D];
    int ids[MOST * K], counts[E], slot_rows[MOST * K];
    float weights[MOST * K], mean_probs[E];
} outputs;

static void *put(const void *host, size_t bytes) {
    void *array = NULL;
    CHECK(moe_device_alloc(device, bytes, &array));
    if (host) CHECK(moe_device_copy_in(device, array, host, bytes));
    return array;
}

/* Random bf16 numbers of about unit scale over sqrt(fan_in). */
static void *put_random(dice *d, size_t count, double fan_in) {
    uint16_t *host = malloc(count * sizeof *host);
    assert_non_null(host);
    for (size_t i = 0; i < count; i++)
        moe_store(MOE_BF16, host, (int64_t)i,
                  (double)dice_between(d, -1000, 1000) / 577 / sqrt(fan_in));
    void *array = put(host, count * sizeof *host);
    free(host);
    return array;
}

static problem *open_problem(const char *layer) {
    problem *p = calloc(1, sizeof *p);
    dice d = {5};
    size_t workspace;
    assert_non_null(p);
    CHECK(moe_layer_parse(layer, &p->layer));
    CHECK(moe_default_plan(device, gen, builder, &p->layer, 16, moe_pipeline_table, &p->plan));
    for (int i = 0; i < MOST * E; i++) p->logits[i] = (float)dice_between(&d, -3000, 3000) / 1000;
    CHECK(moe_plan_workspace(p->plan, MOST, &workspace));
    p->io = (moe_io){
        .size = sizeof(moe_io),
        .x = put_random(&d, MOST * D, 1), .router_weight = put_random(&d, E * D, D),
        .up = put_random(&d, E * 2 * F * D, D), .down = put_random(&d, E * D * F, F),
        .logits = put(p->logits, sizeof p->logits), .y = put(NULL, MOST * D * 2),
        .ids = put(NULL, MOST * K * 4), .weights = put(NULL, MOST * K * 4),
        .counts = put(NULL, E * 4), .mean_probs = put(NULL, E * 4),
        .slot_rows = put(NULL, MOST * K * 4),
        .workspace = put(NULL, workspace), .workspace_size = workspace,
    };
    return p;
}

static void close_problem(problem *p) {
    void *const arrays[] = {(void *)(uintptr_t)p->io.x, (void *)(uintptr_t)p->io.router_weight,
                            (void *)(uintptr_t)p->io.up, (void *)(uintptr_t)p->io.down,
                            (void *)(uintptr_t)p->io.logits, p->io.y, p->io.ids, p->io.weights,
                            p->io.counts, p->io.mean_probs, p->io.slot_rows, p->io.workspace};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        CHECK(moe_device_free(device, arrays[i]));
    moe_plan_destroy(p->plan);
    free(p);
}

/* Runs T tokens over outputs and a workspace that nobody wrote, or that are full of `stale`. */
static void run(problem *p, const moe_io *io, int tokens, int stale, outputs *out) {
    const moe_device_class *class = device->class;
    void *self = device->self;
    memset(out, 0, sizeof *out);
    CHECK(class->poison(self, (uintptr_t)io->y, MOST * D * 2));
    CHECK(class->poison(self, (uintptr_t)io->workspace, io->workspace_size));
    if (stale) CHECK(class->fill(self, (uintptr_t)io->workspace, stale, io->workspace_size, NULL));
    CHECK(moe_plan_run(p->plan, io, tokens, NULL));
    CHECK(moe_device_sync(device, NULL));
    CHECK(moe_device_copy_out(device, out->y, io->y, (size_t)tokens * D * 2));
    CHECK(moe_device_copy_out(device, out->ids, io->ids, (size_t)tokens * K * 4));
    CHECK(moe_device_copy_out(device, out->weights, io->weights, (size_t)tokens * K * 4));
    CHECK(moe_device_copy_out(device, out->slot_rows, io->slot_rows, (size_t)tokens * K * 4));
    CHECK(moe_device_copy_out(device, out->counts, io->counts, E * 4));
    CHECK(moe_device_copy_out(device, out->mean_probs, io->mean_probs, E * 4));
}

/* --------------------------------------------------------------------------------------- checks */

static void check_statistics(const problem *p, int tokens, const outputs *out) {
    double logits[MOST * E], weights[MOST * K], mean_probs[E];
    int ids[MOST * K], counts[E];
    for (int i = 0; i < tokens * E; i++) logits[i] = p->logits[i];
    moe_ref_route(&p->layer, tokens, logits, NULL, ids, weights, counts, mean_probs);
    assert_memory_equal(ids, out->ids, (size_t)tokens * K * sizeof ids[0]);
    assert_memory_equal(counts, out->counts, sizeof counts);
    for (int i = 0; i < E; i++)
        assert_true(fabs(mean_probs[i] - (double)out->mean_probs[i]) < 1e-6);
    for (int i = 0; i < tokens * K; i++)
        assert_true(fabs(weights[i] - (double)out->weights[i]) < 1e-5);
}

/* Kept slots have rows of their own, those of one expert side by side; dropped ones have none. */
static void check_maps(const problem *p, int tokens, const outputs *out) {
    unsigned char kept[MOST * K];
    int first[E], last[E], rows[E] = {0}, expected[E] = {0};
    moe_ref_capacity(&p->layer, tokens, out->ids, NULL, kept);
    for (int slot = 0; slot < tokens * K; slot++) {
        int row = out->slot_rows[slot], expert = out->ids[slot];
        assert_int_equal(row >= 0, kept[slot]);
        if (!kept[slot]) continue;
        if (!rows[expert]++) first[expert] = last[expert] = row;
        if (row < first[expert]) first[expert] = row;
        if (row > last[expert]) last[expert] = row;
        expected[expert]++;
    }
    int end = 0;
    for (int expert = 0; expert < E; expert++) {
        assert_int_equal(rows[expert], expected[expert]);
        if (!rows[expert]) continue;
        assert_int_equal(last[expert] - first[expert] + 1, rows[expert]);
        assert_true(first[expert] >= end);
        end = last[expert] + 1;
    }
}

/* Another way to the same result gives the same bits. */
static void check_same(const outputs *a, const outputs *b, int tokens) {
    assert_memory_equal(a->y, b->y, (size_t)tokens * D * 2);
    assert_memory_equal(a->ids, b->ids, sizeof a->ids);
    assert_memory_equal(a->counts, b->counts, sizeof a->counts);
    assert_memory_equal(a->slot_rows, b->slot_rows, sizeof a->slot_rows);
}

static void check_layer(const char *layer) {
    static const int token_counts[] = {1, 7, 64, MOST};
    static outputs once, again;
    problem *p = open_problem(layer);
    for (size_t i = 0; i < sizeof token_counts / sizeof token_counts[0]; i++) {
        int tokens = token_counts[i];
        run(p, &p->io, tokens, 0, &once);
        check_statistics(p, tokens, &once);
        check_maps(p, tokens, &once);
        run(p, &p->io, tokens, 0x7f, &again);
        check_same(&once, &again, tokens);
        moe_io given = p->io; /* ids and weights are there from the last run */
        given.routing_given = true;
        run(p, &given, tokens, 0, &again);
        check_same(&once, &again, tokens);
        for (int e = 0; e < E; e++) assert_true(again.mean_probs[e] == 0);
    }
    run(p, &p->io, 0, 0, &once);
    for (int e = 0; e < E; e++) assert_true(once.counts[e] == 0 && once.mean_probs[e] == 0);
    close_problem(p);
}

static void test_dropless(void **unused) {
    (void)unused;
    check_layer("d=64 f=32 e=8 k=2");
}

static void test_capacity(void **unused) {
    (void)unused;
    check_layer("d=64 f=32 e=8 k=2 capacity=0.75 router=softmax>topk");
}

/* Ids outside 0..e-1 belong to another device: they add nothing, and nothing else changes. */
static void test_foreign_ids(void **unused) {
    (void)unused;
    static outputs all, some;
    problem *p = open_problem("d=64 f=32 e=8 k=2");
    moe_io given = p->io;
    run(p, &p->io, 16, 0, &all);
    given.routing_given = true;
    int ids[16 * K];
    memcpy(ids, all.ids, sizeof ids);
    for (int t = 0; t < 16; t++) ids[t * K] = ids[t * K + 1] = t % 2 ? -1 : t % 4 ? E : 1 << 30;
    ids[5 * K] = all.ids[5 * K];
    ids[5 * K + 1] = all.ids[5 * K + 1];
    CHECK(moe_device_copy_in(device, given.ids, ids, sizeof ids));
    run(p, &given, 16, 0, &some);
    for (int t = 0; t < 16; t++)
        for (int i = 0; i < D; i++)
            assert_int_equal(some.y[t * D + i], t == 5 ? all.y[t * D + i] : 0);
    int counted = 0;
    for (int e = 0; e < E; e++) counted += some.counts[e];
    assert_int_equal(counted, 2);
    close_problem(p);
}

/* Against the reference in double, for each entry. */
static void test_reference(void **unused) {
    (void)unused;
    moe_layer layer;
    moe_plan *plan = NULL;
    CHECK(moe_layer_parse("d=64 f=40 e=9 k=3 capacity=1.25 bias=router,up,down", &layer));
    CHECK(moe_default_plan(device, gen, builder, &layer, 16, moe_pipeline_table, &plan));
    for (int entry = 0; entry < MOE_ENTRY_COUNT; entry++) {
        moe_layer_case *c = NULL;
        moe_layer_verdict verdict;
        double nanoseconds;
        CHECK(moe_layer_case_open(device, &layer, 33, MOE_ROUTING_ZIPF, (moe_entry)entry, 3, &c));
        CHECK(moe_layer_case_verify(c, plan, &verdict, &nanoseconds));
        if (!verdict.ok) fail_msg("%s: %s", moe_entry_names[entry], verdict.text);
        assert_true(nanoseconds > 0);
        moe_layer_case_close(c);
    }
    moe_plan_destroy(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dropless), cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_foreign_ids), cmocka_unit_test(test_reference),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
