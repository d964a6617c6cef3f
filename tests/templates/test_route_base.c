/* label: sim
 * test_route_base.c - the balanced assignment on simulated GPUs: shares, the bound of the auction,
 * ties, logits that are no numbers, and the same result in any order of blocks. */
#include "fixture.h"

#include "balance.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Judged by the reference: shares, the sum of logits, weights, counts and prob_sums. */
static void check(fixture *f, const char *text, int64_t tokens, const char *config) {
    moe_layer layer;
    CHECK(moe_layer_parse(text, &layer));
    moe_op op = moe_op_make(MOE_OP_route, &layer, tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    fixture_verify(f, "route_base", &op, config);
}

static void on_awkward_shapes(void **state) {
    fixture f;
    (void)state;
    fixture_open(&f, "sim:a100");
    check(&f, "d=64 f=8 e=8 k=1 router=base", 65, "");
    check(&f, "d=72 f=8 e=5 k=1 x=f32 router=base bias=router", 1, "");
    check(&f, "d=64 f=8 e=40 k=1 x=f16 router=base", 7, "bidders=256 blocks=32");
    fixture_close(&f);
    fixture_open(&f, "sim:h100,seed=3");
    check(&f, "d=64 f=8 e=1 k=1 router=base", 33, "");
    check(&f, "d=64 f=8 e=33 k=1 router=base", 70, "");
    fixture_close(&f);
}

/* Logits [T,e] given to a kernel; the experts that it gives back. */
static void assign(const char *device, const moe_layer *layer, int64_t tokens, const float *logits,
                   const char *config, int *ids) {
    fixture f;
    fixture_kernel kernel;
    moe_arg_values args = {0};
    size_t slots = (size_t)tokens;
    moe_op op = moe_op_make(MOE_OP_route, layer, tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    fixture_open(&f, device);
    fixture_build(&f, "route_base", &op, config, &kernel);
    args.value[MOE_ARG_logits] = fixture_put(&f, logits, slots * (size_t)layer->e * sizeof *logits);
    args.value[MOE_ARG_ids] = fixture_room(&f, slots * sizeof *ids);
    args.value[MOE_ARG_weights] = fixture_room(&f, slots * sizeof(float));
    fixture_run(&f, &kernel, &args);
    fixture_get(&f, args.value[MOE_ARG_ids], ids, slots * sizeof *ids);
    fixture_kernel_free(&f, &kernel);
    fixture_close(&f);
}

/* The same auction in double: on whole numbers and an epsilon that is one, every step is exact, so
 * that ties and the quick end must come out alike. */
static void as_the_reference(void **state) {
    enum { T = 50, E = 4 };
    static float logits[T * E];
    static double exact[T * E];
    int got[T], again[T], want[T];
    moe_layer layer;
    moe_balance balance;
    (void)state;
    CHECK(moe_layer_parse("d=64 f=8 e=4 k=1 router=base", &layer));
    const moe_random random = moe_random_stream(9, 1);
    for (int i = 0; i < T * E; i++) logits[i] = (float)(moe_random_bits(random, (uint64_t)i) % 51);
    logits[0] = 0, logits[1] = 50;
    for (int i = 0; i < T * E; i++) exact[i] = (double)logits[i];
    assert_true(moe_balance_epsilon(&layer, T, exact) == 1);
    CHECK(moe_balance_assign(&layer, T, exact, 1, MOE_BALANCE_ROUNDS, want, &balance));
    assign("sim:a100", &layer, T, logits, "", got);
    assert_memory_equal(got, want, sizeof got);
    assign("sim:h100,seed=11", &layer, T, logits, "bidders=256 keep=8192 blocks=32", again);
    assert_memory_equal(got, again, sizeof got);
}

static void not_numbers(void **state) {
    enum { T = 14, E = 4 };
    float logits[T * E];
    int ids[T], counts[E] = {0};
    moe_layer layer;
    (void)state;
    CHECK(moe_layer_parse("d=64 f=8 e=4 k=1 router=base", &layer));
    for (int i = 0; i < T * E; i++)
        logits[i] = i % 5 == 0 ? NAN : i % 7 == 0 ? INFINITY : (float)(i % 13) * 1e37f;
    assign("sim:h100", &layer, T, logits, "", ids);
    for (int t = 0; t < T; t++) counts[ids[t]]++;
    for (int e = 0; e < E; e++) assert_int_equal(counts[e], moe_balance_share(T, E, e));
    for (int i = 0; i < T * E; i++) logits[i] = NAN;
    assign("sim:h100", &layer, T, logits, "", ids);
    for (int t = 0; t < T; t++) counts[ids[t]]--;
    for (int e = 0; e < E; e++) assert_int_equal(counts[e], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_awkward_shapes),
        cmocka_unit_test(as_the_reference),
        cmocka_unit_test(not_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
