/* label: unit
 * The expected load of every class of routing, against that of random tokens; what shared experts
 * and shards of the experts have to do. */
#include "judge/op_work.h"
#include "reference.h"
#include "report/waste.h"
#include "workload.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TOKENS = 12, SEEDS = 40, E = 64, K = 4 };

static moe_layer layer;

static int make_layer(void **state) {
    (void)state;
    return moe_layer_parse("d=64 f=64 e=64 k=4", &layer) != MOE_OK;
}

/* Experts that get a token, on average. */
static double used_experts(moe_routing routing) {
    static float given[TOKENS * E];
    static double logits[TOKENS * E], weights[TOKENS * K];
    static int ids[TOKENS * K];
    int64_t used = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        bool is_used[E] = {false};
        moe_workload_logits(&layer, TOKENS, routing, seed, given);
        for (int i = 0; i < TOKENS * E; i++) logits[i] = (double)given[i];
        moe_ref_route(&layer, TOKENS, logits, NULL, ids, weights, NULL, NULL);
        for (int i = 0; i < TOKENS * K; i++) is_used[ids[i]] = true;
        for (int e = 0; e < E; e++) used += is_used[e];
    }
    return (double)used / SEEDS;
}

/* The same by the bytes of weights that moe_op_work expects to be read. */
static double expected_experts(moe_routing routing) {
    const moe_op op = moe_op_make(MOE_OP_gemm_down, &layer, TOKENS, routing, MOE_CACHE_COLD);
    const moe_work_size work = moe_op_work(&op);
    assert_true(fabs(work.flops / (2.0 * TOKENS * K * 64 * 64) - 1) < 1e-4);
    return (work.bytes - TOKENS * K * (64 + 64) * 2) / (64 * 64 * 2);
}

static void loads_are_as_expected(void **state) {
    (void)state;
    for (int r = 0; r < MOE_ROUTING_COUNT; r++) {
        double got = used_experts((moe_routing)r), want = expected_experts((moe_routing)r);
        if (fabs(got / want - 1) > 0.03)
            fail_msg("%s: %.2f experts in use, expected %.2f", moe_routing_names[r], got, want);
    }
}

static moe_work_size work_of(const char *text, moe_op_kind kind, int64_t tokens) {
    moe_layer of;
    assert_int_equal(moe_layer_parse(text, &of), MOE_OK);
    if (kind == MOE_OP_COUNT) return moe_layer_work(&of, tokens, MOE_ROUTING_UNIFORM);
    const moe_op op = moe_op_make(kind, &of, tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    return moe_op_work(&op);
}

/* Each token adds a row for each part of the shared expert; its weights are always read. */
static void shared_experts_are_counted(void **state) {
    (void)state;
    static const char plain[] = "d=64 f=64 e=64 k=4", wide[] = "d=64 f=64 e=64 k=4 shared=128";
    static const struct {
        moe_op_kind kind;
        double flops, bytes; /* of n = 2 more experts, T = 12 tokens */
    } more[] = {
        {MOE_OP_gemm_up, 2. * 2 * 12 * 64 * 128, 2 * (64 * 128 + 12 * 64) * 2},
        {MOE_OP_gemm_down, 2. * 2 * 12 * 64 * 64, 2 * (64 * 64 + 12 * 128) * 2},
        {MOE_OP_combine, 0, 2 * 12 * 64 * 2},
        {MOE_OP_permute, 0, 2 * 12 * 8},
        {MOE_OP_COUNT, 2. * 2 * 12 * 64 * 192, 2 * 64 * 192 * 2},
    };
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        const moe_work_size a = work_of(plain, more[i].kind, 12);
        const moe_work_size b = work_of(wide, more[i].kind, 12);
        if (fabs(b.flops - a.flops - more[i].flops) > 0.5 ||
            fabs(b.bytes - a.bytes - more[i].bytes) > 0.5)
            fail_msg("%zu: %.1f flops, %.1f bytes more", i, b.flops - a.flops, b.bytes - a.bytes);
    }
    assert_true(work_of(wide, MOE_OP_COUNT, 0).flops < 0.5);
}

/* A device with a quarter of the experts has a quarter of the rows and of the weights. */
static void shards_have_their_share(void **state) {
    (void)state;
    static const char whole[] = "d=64 f=64 e=64 k=4", shard[] = "d=64 f=64 e=64 k=4 local=16";
    static const moe_op_kind kinds[] = {MOE_OP_gemm_up, MOE_OP_gemm_down};
    for (int i = 0; i < 2; i++) {
        const moe_work_size a = work_of(whole, kinds[i], 12), b = work_of(shard, kinds[i], 12);
        assert_true(fabs(4 * b.flops / a.flops - 1) < 1e-9);
        assert_true(fabs(4 * b.bytes / a.bytes - 1) < 0.1); /* all of x may be read */
    }
    double rows =
        work_of(whole, MOE_OP_combine, 12).bytes - work_of(shard, MOE_OP_combine, 12).bytes;
    assert_true(fabs(rows - 12 * 3 * 64 * 2) < 0.5); /* of 4 a token, 3 are elsewhere */
    double router = work_of(whole, MOE_OP_route, 12).flops;
    assert_true(fabs(work_of(shard, MOE_OP_route, 12).flops - router) < 0.5);
    assert_true(fabs(4 * (work_of(shard, MOE_OP_COUNT, 12).flops - router) /
                         (work_of(whole, MOE_OP_COUNT, 12).flops - router) - 1) < 1e-9);
}

static void routers_in_f32_read_more(void **state) {
    (void)state;
    double more = work_of("d=64 f=64 e=64 k=4 router_dtype=f32", MOE_OP_route, 12).bytes -
                  work_of("d=64 f=64 e=64 k=4", MOE_OP_route, 12).bytes;
    assert_true(fabs(more - 64 * 64 * 2) < 0.5);
}

/* Three rows of one expert are two tiles of two, of which one place is empty; the shared expert's
 * three rows in each of its two parts as well. */
static void padding_counts_shared_rows(void **state) {
    (void)state;
    static const int ids[] = {1, 1, 1};
    static const float weights[] = {1, 1, 1};
    moe_layer of;
    moe_waste waste;
    assert_int_equal(moe_layer_parse("d=64 f=64 e=4 k=1 shared=128", &of), MOE_OK);
    assert_int_equal(moe_waste_of_ids(&of, 3, ids, weights, 2, &waste), MOE_OK);
    assert_true(fabs(waste.padding - 3. / 12) < 1e-9);
    assert_true(waste.dropped < 1e-9);
}

/* A kind of op without a row would get no candidates, and be as fast as light. */
static void every_op_has_work(void **state) {
    (void)state;
    for (int kind = 0; kind < MOE_OP_COUNT; kind++) {
        const moe_work_size work = work_of("d=64 f=64 e=64 k=4", (moe_op_kind)kind, TOKENS);
        assert_true(work.bytes > 0 && work.flops >= 0);
        assert_true(moe_op_wish((moe_op_kind)kind) > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_has_work),
        cmocka_unit_test(loads_are_as_expected),
        cmocka_unit_test(shared_experts_are_counted),
        cmocka_unit_test(shards_have_their_share),
        cmocka_unit_test(routers_in_f32_read_more),
        cmocka_unit_test(padding_counts_shared_rows),
    };
    return cmocka_run_group_tests(tests, make_layer, NULL);
}
