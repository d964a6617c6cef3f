/* label: sim */
/* test_route_permute.c - router and maps in two kernels on simulated GPUs: routing as exact logits
 * ask for, and every entry of every map as that routing, or given experts, define it. */
#include "core/number.h"
#include "map_case.h"
#include "random.h"
#include "route_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Where the routing comes from. */
typedef enum source { FROM_X, FROM_LOGITS, GIVEN } source;

typedef struct layer_case {
    moe_layer layer;
    fixture_kernel kernel;
} layer_case;

static void build(fixture *f, const char *text, int64_t tokens, const char *config,
                  layer_case *out) {
    CHECK(moe_layer_parse(text, &out->layer));
    moe_op op = moe_op_make(MOE_OP_route_permute, &out->layer, tokens, MOE_ROUTING_UNIFORM,
                            MOE_CACHE_COLD);
    fixture_build(f, "route_permute", &op, config, &out->kernel);
}

/* Exact logits [T,e] of a few distinct values that fp32 holds, with ties. */
static void fill_logits(int64_t n, uint64_t seed, float *logits, double *exact) {
    moe_random random = moe_random_stream(seed, 5);
    for (int64_t i = 0; i < n; i++) {
        logits[i] = (float)(int)(moe_random_bits(random, (uint64_t)i) % 4096) / 256 - 8;
        exact[i] = (double)logits[i];
    }
}

static void check_mean(const map_case *c, const maps *got, const unsigned long long *sums) {
    for (int64_t i = 0; i < c->kernel->op.layer.e; i++) {
        float want = (float)sums[i] * 0x1p-32f / (float)c->tokens;
        if (got->mean[i] != want)
            fail_msg("%s: mean_probs[%lld] is %.9g, should be %.9g", c->kernel->what, (long long)i,
                     (double)got->mean[i], (double)want);
    }
}

/* Inputs into arguments. Elements of x are small whole numbers and weights small multiples of 1/64,
 * so that fp32 sums are exact in any order. */
static void bind_router(fixture *f, source from, route_case *r, double *exact,
                        moe_arg_values *args) {
    const moe_layer *layer = r->layer;
    int64_t e = layer->e, n = r->tokens * e;
    if (from == FROM_LOGITS) {
        float *logits = route_room((size_t)n, sizeof *logits);
        fill_logits(n, (uint64_t)(r->tokens + e), logits, exact);
        args->value[MOE_ARG_logits] = fixture_put(f, logits, (size_t)n * sizeof *logits);
        free(logits);
        return;
    }
    size_t size = moe_dtype_size(layer->x), width = (size_t)layer->d * size;
    float *x = route_room((size_t)(r->tokens * layer->d), sizeof *x);
    float *w = route_room((size_t)(e * layer->d), sizeof *w);
    void *x_bits = route_room((size_t)r->tokens, width), *w_bits = route_room((size_t)e, width);
    moe_random random = moe_random_stream((uint64_t)(r->tokens + e), 6);
    for (int64_t i = 0; i < r->tokens * layer->d; i++)
        x[i] = (float)(int)(moe_random_bits(random, (uint64_t)i) % 8) - 4;
    for (int64_t i = 0; i < e * layer->d; i++)
        w[i] = (float)(int)(moe_random_bits(random, ~(uint64_t)i) % 8) / 64 - 0.0625f;
    moe_store_block(layer->x, x_bits, 0, r->tokens * layer->d, x);
    moe_store_block(layer->x, w_bits, 0, e * layer->d, w);
    for (int64_t t = 0; t < r->tokens; t++)
        for (int64_t i = 0; i < e; i++) {
            double sum = 0;
            for (int64_t j = 0; j < layer->d; j++)
                sum += (double)x[t * layer->d + j] * (double)w[i * layer->d + j];
            exact[t * e + i] = sum;
        }
    args->value[MOE_ARG_x] = fixture_put(f, x_bits, (size_t)r->tokens * width);
    args->value[MOE_ARG_router_weight] = fixture_put(f, w_bits, (size_t)e * width);
    free(x);
    free(w);
    free(x_bits);
    free(w_bits);
}

static void check(fixture *f, layer_case *l, source from, const map_case *c) {
    const moe_layer *layer = &l->layer;
    size_t slots = (size_t)(c->tokens * layer->k), e = (size_t)layer->e;
    moe_arg_values args = {0};
    route_case r;
    route_case_make(&r, &l->kernel, layer, c->tokens);
    r.statistics = c->statistics;
    double *exact = route_room((size_t)c->tokens * e, sizeof *exact);
    maps got = maps_make(c);
    if (from == GIVEN) {
        map_fill_ids(c->pattern, c->tokens, layer->e, layer->k, (uint64_t)c->tokens, r.ids);
        args.value[MOE_ARG_ids] = fixture_put(f, r.ids, slots * sizeof(int));
        args.value[MOE_ARG_given] = 1;
    } else {
        bind_router(f, from, &r, exact, &args);
        args.value[MOE_ARG_ids] = fixture_room(f, slots * sizeof(int));
        args.value[MOE_ARG_weights] = fixture_room(f, slots * sizeof(float));
    }
    map_case_bind(f, c, &args);
    if (c->statistics)
        args.value[MOE_ARG_prob_sums] = fixture_put(f, r.prob_sums, e * sizeof *r.prob_sums);
    l->kernel.op.t = c->tokens;
    fixture_run(f, &l->kernel, &args);
    map_case_collect(f, c, &args, &got);
    fixture_get(f, args.value[MOE_ARG_ids], r.ids, slots * sizeof(int));
    if (from != GIVEN)
        fixture_get(f, args.value[MOE_ARG_weights], r.weights, slots * sizeof(float));
    if (c->statistics) {
        fixture_get(f, args.value[MOE_ARG_prob_sums], r.prob_sums, e * sizeof *r.prob_sums);
        memcpy(r.counts, got.counts, e * sizeof(int));
        check_mean(c, &got, r.prob_sums);
    }
    fixture_forget(f);
    if (from != GIVEN) route_case_check(&r, exact);
    map_case_check(c, r.ids, &got);
    maps_free(&got);
    free(exact);
    route_case_free(&r);
}

/* Every source and pattern in turn, with and without a capacity. */
static void check_all(fixture *f, layer_case *l, int64_t tokens, bool from_x) {
    static const int aligns[] = {1, 16, 64};
    int64_t slots = tokens * l->layer.k, some = (slots * 5 / 4 + l->layer.e - 1) / l->layer.e;
    map_case c = {.kernel = &l->kernel, .tokens = tokens};
    for (int p = 0; p < MAP_PATTERNS; p++) {
        c.pattern = (map_pattern)p;
        c.capacity = p % 2 ? some : slots;
        c.row_align = aligns[p % 3];
        c.statistics = p % 2 == 0;
        check(f, l, GIVEN, &c);
        if (p < 2) check(f, l, FROM_LOGITS, &c);
        if (from_x && p < 2) check(f, l, FROM_X, &c);
    }
}

static const char *const rules[] = {"softmax>topk>renorm", "softmax>topk", "topk>softmax"};

/* Every shape at two or three of the token counts, which the devices share. */
static void every_shape_by_default_config(void **state) {
    (void)state;
    static const int shapes[][2] = {{1, 1}, {8, 2}, {40, 8}, {257, 4}, {1024, 10}, {2048, 32}};
    static const int64_t tokens[] = {1, 7, 64, 129, 513};
    static const char *const devices[] = {"sim:a100", "sim:h100"};
    for (int d = 0; d < 2; d++) {
        fixture f;
        fixture_open(&f, devices[d]);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            for (size_t t = d; t < sizeof tokens / sizeof *tokens; t += 2) {
                char text[128];
                layer_case l;
                if ((i + t / 2) % 2) continue;
                snprintf(text, sizeof text, "d=72 f=8 e=%d k=%d router=%s", shapes[i][0],
                         shapes[i][1], rules[(i + t) % 3]);
                build(&f, text, tokens[t], "", &l);
                check_all(&f, &l, tokens[t], true);
                check_all(&f, &l, 9, false);
                fixture_kernel_free(&f, &l.kernel);
            }
        fixture_close(&f);
    }
}

static const char *const configs[] = {
    "bt=8 be=64 bk=64 stages=3 warps=4 split=0 blocks=1 map_threads=128 items=1",
    "bt=16 be=32 bk=128 stages=2 warps=4 split=2 blocks=1 map_threads=256 items=4",
    "bt=8 be=16 bk=128 stages=4 warps=8 split=1 blocks=1 map_threads=1024 items=2",
    "bt=16 be=64 bk=64 stages=3 warps=8 split=0 blocks=64 map_threads=128 items=2",
    "bt=64 be=64 bk=64 stages=4 warps=4 split=0 blocks=128 map_threads=512 items=1",
    "bt=8 be=64 bk=128 stages=2 warps=4 split=0 blocks=512 map_threads=256 items=8",
};

enum { CONFIGS = sizeof configs / sizeof *configs };

static void every_kind_of_config_gives_the_same_maps(void **state) {
    (void)state;
    fixture f;
    fixture_open(&f, "sim:h100");
    for (int i = 0; i < CONFIGS; i++) {
        layer_case l;
        build(&f, i % 2 ? "d=136 f=8 e=60 k=4 x=f32" : "d=136 f=8 e=60 k=4 x=f16", 2500,
              configs[i], &l);
        check_all(&f, &l, 2500, i == 3);
        check_all(&f, &l, 40, true);
        fixture_kernel_free(&f, &l.kernel);
    }
    fixture_close(&f);
}

/* What a share counts must stay below 2^16, whatever is given. */
static void counts_of_a_share_do_not_overflow(void **state) {
    (void)state;
    fixture f;
    layer_case l;
    fixture_open(&f, "sim:h100");
    build(&f, "d=8 f=8 e=3 k=1", 100,
          "bt=8 be=16 bk=64 stages=3 warps=4 split=0 blocks=64 map_threads=512 items=8", &l);
    int64_t tokens = 64 * 65600;
    check(&f, &l, GIVEN,
          &(map_case){.kernel = &l.kernel, .pattern = MAP_ONE, .tokens = tokens,
                      .capacity = tokens, .row_align = 1, .statistics = true});
    fixture_kernel_free(&f, &l.kernel);
    fixture_close(&f);
}

static void schedules_do_not_matter(void **state) {
    (void)state;
    static const char *const layers[] = {"d=136 f=8 e=40 k=4", "d=136 f=8 e=64 k=8"};
    for (int seed = 1; seed <= 8; seed++) {
        char device[32];
        fixture f;
        layer_case l;
        snprintf(device, sizeof device, "sim:%s,seed=%d", seed % 2 ? "h100" : "a100", seed);
        fixture_open(&f, device);
        build(&f, layers[seed / 2 % 2], 70, seed % 3 ? "" : configs[3 + seed / 3 % 3], &l);
        check(&f, &l, FROM_X,
              &(map_case){.kernel = &l.kernel, .tokens = 70, .capacity = 20, .row_align = 16,
                          .statistics = true});
        fixture_kernel_free(&f, &l.kernel);
        fixture_close(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_by_default_config),
        cmocka_unit_test(every_kind_of_config_gives_the_same_maps),
        cmocka_unit_test(counts_of_a_share_do_not_overflow),
        cmocka_unit_test(schedules_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
