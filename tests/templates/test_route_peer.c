/* label: sim
 * test_route_peer.c - product keys on simulated GPUs: awkward shapes and every part of the space,
 * ties, logits that are no numbers, and the same result in any order of blocks. */
#include "fixture.h"
#include "peer.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Judged by the reference: choices, weights and counts. */
static void check(fixture *f, const char *text, int64_t tokens, const char *config) {
    moe_layer layer;
    CHECK(moe_layer_parse(text, &layer));
    moe_op op = moe_op_make(MOE_OP_route, &layer, tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    fixture_verify(f, "route_peer", &op, config);
}

static void on_awkward_shapes(void **state) {
    fixture f;
    (void)state;
    fixture_open(&f, "sim:a100");
    check(&f, "d=64 f=1 e=64 k=1 act=relu router=peer(1,8,128)", 1, "");
    check(&f, "d=72 f=1 e=1600 k=96 act=relu x=f32 router=peer(3,40,128) bias=router", 9,
          "tokens=16 rows=32 scanners=4 parts=1 split=1 bt=8 be=64 warps=4");
    check(&f, "d=64 f=1 e=9216 k=64 act=relu x=f16 router=peer(2,96,256)", 33,
          "tokens=32 rows=16 scanners=4 parts=2 split=1");
    fixture_close(&f);
    fixture_open(&f, "sim:h100,seed=3");
    check(&f, "d=264 f=1 e=40000 k=48 act=relu router=peer(3,200,128) bias=router", 17,
          "tokens=64 rows=16 scanners=8 parts=2 split=2");
    check(&f, "d=64 f=1 e=10816 k=16 act=relu router=peer(1,104,1024)>relu", 5,
          "tokens=8 rows=64 scanners=4 parts=1");
    fixture_close(&f);
}

/* Logits given to a kernel; the experts that it gives back. */
static void choose(const char *device, const moe_layer *layer, int64_t tokens, const float *logits,
                   const char *config, int *ids) {
    fixture f;
    fixture_kernel kernel;
    moe_arg_values args = {0};
    size_t slots = (size_t)(tokens * layer->k);
    moe_op op = moe_op_make(MOE_OP_route, layer, tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    fixture_open(&f, device);
    fixture_build(&f, "route_peer", &op, config, &kernel);
    args.value[MOE_ARG_logits] =
        fixture_put(&f, logits, (size_t)(tokens * moe_layer_logits(layer)) * sizeof *logits);
    args.value[MOE_ARG_ids] = fixture_room(&f, slots * sizeof *ids);
    args.value[MOE_ARG_weights] = fixture_room(&f, slots * sizeof(float));
    fixture_run(&f, &kernel, &args);
    fixture_get(&f, args.value[MOE_ARG_ids], ids, slots * sizeof *ids);
    fixture_kernel_free(&f, &kernel);
    fixture_close(&f);
}

enum { T = 6, HEADS = 2, KEYS = 136, K = 40, WIDTH = HEADS * 2 * KEYS };

static moe_layer small_layer(void) {
    moe_layer layer;
    CHECK(moe_layer_parse("d=64 f=1 e=18496 k=40 act=relu router=peer(2,136,128)", &layer));
    return layer;
}

/* Whole numbers: sums are exact, so that every choice must be the reference's, equal logits and
 * all. Few different ones make more candidates than a warp has room for. */
static void as_the_reference(void **state) {
    static float logits[T * WIDTH];
    const moe_layer layer = small_layer();
    const moe_random random = moe_random_stream(9, 1);
    (void)state;
    for (int i = 0; i < T * WIDTH; i++)
        logits[i] = (float)(moe_random_bits(random, (uint64_t)i) % (i / WIDTH < 2 ? 3u : 5000u));
    int got[T * K], want[K];
    static double exact[WIDTH];
    for (int seed = 0; seed < 10; seed++) {
        const char *config = seed < 5 ? "parts=1" : "parts=2 rows=16 tokens=32 scanners=4";
        char device[32];
        snprintf(device, sizeof device, "sim:%s,seed=%d", seed % 2 ? "a100" : "h100", seed);
        choose(device, &layer, T, logits, config, got);
        for (int t = 0; t < T; t++) {
            for (int i = 0; i < WIDTH; i++) exact[i] = (double)logits[t * WIDTH + i];
            moe_peer_choose(&layer, exact, want);
            assert_memory_equal(got + t * K, want, sizeof want);
        }
    }
}

static void not_numbers(void **state) {
    static float logits[T * WIDTH];
    const moe_layer layer = small_layer();
    int ids[T * K];
    (void)state;
    for (int i = 0; i < T * WIDTH; i++)
        logits[i] = i < WIDTH || i % 5 == 0 ? NAN
                    : i % 7 == 0            ? INFINITY
                                            : (float)(i % 13) * -3e37f;
    choose("sim:h100", &layer, T, logits, "", ids);
    for (int t = 0; t < T * HEADS; t++)
        for (int j = 0; j < K / HEADS; j++) {
            const int *mine = ids + t * (K / HEADS);
            assert_in_range(mine[j], 0, KEYS * KEYS - 1);
            for (int before = 0; before < j; before++) assert_int_not_equal(mine[j], mine[before]);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_awkward_shapes),
        cmocka_unit_test(as_the_reference),
        cmocka_unit_test(not_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
