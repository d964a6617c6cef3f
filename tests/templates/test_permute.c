/* label: sim */
/* test_permute.c - both permute templates on a simulated GPU against plain loops: every entry of
 * every map, for all that ids, capacities and alignments can be. */
#include "map_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void check_maps(fixture *f, const map_case *c) {
    int64_t e = c->kernel->op.layer.e, k = c->kernel->op.layer.k;
    size_t slots = (size_t)(c->tokens * k), experts = (size_t)e;
    int *ids = calloc(slots, sizeof *ids);
    unsigned long long *sums = calloc(experts, sizeof *sums);
    moe_arg_values args = {0};
    maps got = maps_make(c);
    assert_true(ids && sums);
    map_fill_ids(c->pattern, c->tokens, e, k, (uint64_t)(c->tokens + 7 * e), ids);
    for (int64_t i = 0; i < e; i++) sums[i] = (unsigned long long)(i * c->tokens) << 30;
    args.value[MOE_ARG_ids] = fixture_put(f, ids, slots * sizeof *ids);
    if (c->statistics) args.value[MOE_ARG_prob_sums] = fixture_put(f, sums, experts * sizeof *sums);
    map_case_bind(f, c, &args);
    c->kernel->op.t = c->tokens;
    fixture_run(f, c->kernel, &args);
    map_case_collect(f, c, &args, &got);
    fixture_forget(f);
    map_case_check(c, ids, &got);
    for (int64_t i = 0; c->statistics && i < e; i++)
        if (got.mean[i] != (float)i / 4)
            fail_msg("%s: mean_probs[%lld] is %.9g, should be %.9g", c->kernel->what, (long long)i,
                     (double)got.mean[i], (double)i / 4);
    maps_free(&got);
    free(sums);
    free(ids);
}

static void build(fixture *f, const char *template, int e, int k, int64_t tokens,
                  const char *config, fixture_kernel *kernel) {
    char text[96];
    moe_layer layer;
    snprintf(text, sizeof text, "d=64 f=64 e=%d k=%d", e, k);
    CHECK(moe_layer_parse(text, &layer));
    moe_op op = moe_op_make(MOE_OP_permute, &layer, tokens, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    fixture_build(f, template, &op, config, kernel);
}

/* Every pattern with no capacity, a small and a common one; alignments in turn. */
static void check_kernel(fixture *f, fixture_kernel *kernel, int64_t tokens) {
    static const int aligns[] = {1, 16, 128, 256};
    int64_t e = kernel->op.layer.e, slots = tokens * kernel->op.layer.k;
    for (int p = 0; p < MAP_PATTERNS; p++) {
        int64_t some = (slots * 5 / 4 + e - 1) / e, capacities[] = {slots, some, 1};
        for (int i = 0; i < 3; i++)
            check_maps(f, &(map_case){.kernel = kernel,
                                      .pattern = (map_pattern)p,
                                      .tokens = tokens,
                                      .capacity = capacities[i],
                                      .row_align = aligns[(p + i) % 4],
                                      .statistics = (p + i) % 2 == 0});
    }
}

typedef struct build_case {
    const char *template, *config;
    int e, k;
} build_case;

static void run_cases(const char *device, const build_case *cases, size_t count,
                      const int64_t *tokens, int tokens_count) {
    fixture f;
    fixture_open(&f, device);
    for (size_t i = 0; i < count; i++) {
        const build_case *c = &cases[i];
        fixture_kernel kernel;
        build(&f, c->template, c->e, c->k, tokens[0], c->config, &kernel);
        for (int t = 0; t < tokens_count; t++) check_kernel(&f, &kernel, tokens[t]);
        fixture_kernel_free(&f, &kernel);
    }
    fixture_close(&f);
}

static void every_shape_gives_the_defined_maps(void **state) {
    (void)state;
    static const build_case cases[] = {
        {"permute", "", 8, 2},      {"permute", "", 1, 1},     {"permute", "", 40, 8},
        {"permute", "", 257, 6},    {"permute", "", 64, 32},   {"permute_small", "", 4, 4},
        {"permute_small", "", 1, 1}, {"permute_small", "", 60, 4}, {"permute_small", "", 128, 8},
        {"permute_small", "", 512, 10}, {"permute_small", "", 257, 22},
    };
    static const int64_t tokens[] = {64, 1, 7, 129};
    run_cases("sim:a100", cases, sizeof cases / sizeof *cases, tokens, 4);
}

static void many_tokens_and_experts(void **state) {
    (void)state;
    static const build_case cases[] = {
        {"permute", "", 128, 8},
        {"permute_small", "", 1024, 16},
        {"permute_small", "threads=64 items=1", 40, 6},
    };
    static const int64_t tokens[] = {1000};
    run_cases("sim:a100", cases, sizeof cases / sizeof *cases, tokens, 1);
}

static void experts_of_the_largest_layers_fit_99_kb(void **state) {
    (void)state;
    static const build_case cases[] = {
        {"permute", "", 2048, 8},
        {"permute", "scan=1 blocks=32", 2048, 2},
        {"permute_small", "", 2048, 10},
    };
    static const int64_t tokens[] = {129};
    run_cases("sim:l40s", cases, sizeof cases / sizeof *cases, tokens, 1);
}

static void every_kind_of_config_gives_the_same_maps(void **state) {
    (void)state;
    static const build_case cases[] = {
        {"permute", "blocks=32 threads=128 items=2 scan=0", 60, 4},
        {"permute", "blocks=32 threads=128 items=2 scan=1", 60, 4},
        {"permute", "blocks=256 threads=256 items=4 scan=1", 60, 4},
        {"permute", "blocks=64 threads=512 items=8 scan=0", 60, 4},
        {"permute_small", "threads=64 items=16", 60, 4},
        {"permute_small", "threads=1024 items=1", 60, 4},
        {"permute_small", "threads=1024 items=4", 60, 4},
    };
    static const int64_t tokens[] = {2500, 40};
    run_cases("sim:h100", cases, sizeof cases / sizeof *cases, tokens, 2);
}

static void schedules_do_not_matter(void **state) {
    (void)state;
    static const build_case cases[] = {
        {"permute", "blocks=32 threads=128 items=2 scan=0", 40, 8},
        {"permute_small", "threads=128 items=2", 40, 8},
    };
    static const int64_t tokens[] = {150};
    run_cases("sim:h100,seed=1", cases, 2, tokens, 1);
    run_cases("sim:h100,seed=2", cases, 2, tokens, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_gives_the_defined_maps),
        cmocka_unit_test(many_tokens_and_experts),
        cmocka_unit_test(experts_of_the_largest_layers_fit_99_kb),
        cmocka_unit_test(every_kind_of_config_gives_the_same_maps),
        cmocka_unit_test(schedules_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
