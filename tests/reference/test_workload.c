/* label: unit */
/* test_workload.c - random inputs: the same everywhere, and distributed as they claim. */
#include "random.h"
#include "workload.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static moe_layer layer_of(const char *text) {
    moe_layer layer;
    assert_int_equal(moe_layer_parse(text, &layer), MOE_OK);
    return layer;
}

/* FNV-1a, to pin bits down. */
static uint64_t fingerprint(const void *data, size_t bytes) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void bits_do_not_depend_on_threads(void **state) {
    (void)state;
    enum { N = 100003 };
    float *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b);
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    moe_random_normal(moe_random_stream(5, 2), MOE_F32, a, N, 0.5);
    omp_set_num_threads(7);
    moe_random_normal(moe_random_stream(5, 2), MOE_F32, b, N, 0.5);
    omp_set_num_threads(threads);
    assert_memory_equal(a, b, N * sizeof *a);
    moe_random_normal(moe_random_stream(5, 2), MOE_F32, b, 1000, 0.5); /* a prefix */
    assert_memory_equal(a, b, 1000 * sizeof *a);
    moe_random_normal(moe_random_stream(6, 2), MOE_F32, b, N, 0.5);
    assert_true(memcmp(a, b, 16) != 0);
    moe_random_normal(moe_random_stream(5, 3), MOE_F32, b, N, 0.5);
    assert_true(memcmp(a, b, 16) != 0);
    free(a);
    free(b);
}

/* Results stored on one machine must be reproducible on another. */
static void bits_are_pinned(void **state) {
    (void)state;
    uint16_t half[4096];
    moe_random_normal(moe_random_stream(1, 0), MOE_BF16, half, 4096, 1);
    uint64_t bf16 = fingerprint(half, sizeof half);
    moe_random_normal(moe_random_stream(1, 0), MOE_F16, half, 4096, 1);
    uint64_t f16 = fingerprint(half, sizeof half);
    if (bf16 != UINT64_C(0xc2750d94e95b5b71) || f16 != UINT64_C(0xd25a5da9dd1beb55))
        fail_msg("bf16 %#llx, f16 %#llx", (unsigned long long)bf16, (unsigned long long)f16);
}

/* Moments, and the share below five points, of a million: each within 5 standard errors. */
static void normal_numbers_are_normal(void **state) {
    (void)state;
    enum { N = 1000000 };
    static const double points[] = {-2.5, -1, 0, 0.3, 1.8};
    float *values = malloc(N * sizeof *values);
    moe_random_normal(moe_random_stream(3, 1), MOE_F32, values, N, 1);
    double moment[5] = {0}, lag = 0, below[5] = {0};
    for (int i = 0; i < N; i++) {
        double v = (double)values[i];
        for (int m = 1; m < 5; m++) moment[m] += pow(v, m) / N;
        for (int p = 0; p < 5; p++) below[p] += (v < points[p]) / (double)N;
        if (i) lag += v * (double)values[i - 1] / N;
    }
    assert_true(fabs(moment[1]) < 0.005 && fabs(moment[2] - 1) < 0.0071);
    assert_true(fabs(moment[3]) < 0.02 && fabs(moment[4] - 3) < 0.05 && fabs(lag) < 0.005);
    for (int p = 0; p < 5; p++)
        assert_true(fabs(below[p] - 0.5 * erfc(-points[p] / sqrt(2))) < 0.0025);
    free(values);
}

static void uniform_numbers_stay_inside(void **state) {
    (void)state;
    double sum = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        double u = moe_random_uniform(moe_random_stream(9, 9), i);
        assert_true(u > 0 && u < 1);
        sum += u;
    }
    assert_true(fabs(sum / 100000 - 0.5) < 0.005);
}

static void arrays_do_not_depend_on_each_other(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=64 f=32 e=6 k=2 bias=router,up,down");
    moe_workload all, some;
    assert_int_equal(moe_workload_init(&all, &layer, 9, MOE_ROUTING_ZIPF, 4, MOE_MAKE_ALL), MOE_OK);
    assert_int_equal(
        moe_workload_init(&some, &layer, 9, MOE_ROUTING_ZIPF, 4, MOE_MAKE_DOWN | MOE_MAKE_LOGITS),
        MOE_OK);
    moe_layer_sizes n = moe_layer_elements(&layer, 9);
    assert_true(n.up == 6 * 64 * 64 && n.down == 6 * 64 * 32 && n.up_bias == 6 * 64 &&
                n.down_bias == 6 * 64 && n.x == 9 * 64 && n.logits == 54 && n.router_bias == 6);
    assert_memory_equal(all.down, some.down, (size_t)n.down * 2);
    assert_memory_equal(all.logits, some.logits, (size_t)n.logits * 4);
    assert_true(!some.x && !some.up && !some.up_bias && !some.router_weight && some.down_bias);
    assert_true(all.x && all.up_bias && all.router_bias && all.router_weight);
    moe_workload_free(&all);
    moe_workload_free(&some);
}

/* Rows that choose each expert under a routing class. */
static void count(const moe_layer *layer, int64_t tokens, moe_routing routing, int *counts) {
    float *logits = malloc((size_t)(tokens * layer->e) * sizeof *logits);
    double *wide = malloc((size_t)(tokens * layer->e) * sizeof *wide);
    int *ids = malloc((size_t)(tokens * layer->k) * sizeof *ids);
    double *weights = malloc((size_t)(tokens * layer->k) * sizeof *weights);
    moe_workload_logits(layer, tokens, routing, 21, logits);
    moe_ref_logits(layer, tokens, &(moe_host_layer){.logits = logits}, wide);
    moe_ref_route(layer, tokens, wide, NULL, ids, weights, counts, NULL);
    free(logits);
    free(wide);
    free(ids);
    free(weights);
}

static void routing_classes(void **state) {
    (void)state;
    enum { T = 4000 };
    moe_layer layer = layer_of("d=8 f=8 e=16 k=2");
    int counts[16];
    count(&layer, T, MOE_ROUTING_UNIFORM, counts);
    for (int e = 0; e < 16; e++) assert_in_range(counts[e], 400, 600);
    count(&layer, T, MOE_ROUTING_ONE, counts);
    for (int e = 0; e < 16; e++) assert_int_equal(counts[e], e == 0 || e == 8 ? T : 0);
    count(&layer, T, MOE_ROUTING_EMPTY, counts);
    for (int e = 0; e < 16; e++) assert_true(e % 2 ? counts[e] == 0 : counts[e] > 800);
    layer.k = 12; /* more than half: no expert can stay empty */
    int busy[16];
    count(&layer, T, MOE_ROUTING_EMPTY, busy);
    for (int e = 0; e < 16; e++) assert_true(busy[e] > 0);
}

/* With k = 1 the share of expert i is 1/(i+1) over the harmonic number of 16. */
static void zipf_is_zipf(void **state) {
    (void)state;
    enum { T = 40000 };
    moe_layer layer = layer_of("d=8 f=8 e=16 k=1");
    int counts[16];
    double harmonic = 0;
    for (int e = 0; e < 16; e++) harmonic += 1.0 / (e + 1);
    count(&layer, T, MOE_ROUTING_ZIPF, counts);
    for (int e = 0; e < 16; e++) {
        double want = T / (harmonic * (e + 1));
        assert_true(fabs(counts[e] - want) < 5 * sqrt(want));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(bits_are_pinned),
        cmocka_unit_test(normal_numbers_are_normal),
        cmocka_unit_test(uniform_numbers_stay_inside),
        cmocka_unit_test(arrays_do_not_depend_on_each_other),
        cmocka_unit_test(routing_classes),
        cmocka_unit_test(zipf_is_zipf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
