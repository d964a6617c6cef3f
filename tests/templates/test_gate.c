/* label: sim */
/* test_gate.c - maps where experts keep the rows of the largest weights: those of the ids that the
 * reference keeps, with ties of weights, for all that ids can be; counts are of all. */
#include "map_case.h"
#include "random.h"
#include "reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct gate_case {
    const char *layer;
    int distinct; /* weights that there are */
} gate_case;

static void *room(int64_t count, size_t size) {
    void *made = calloc((size_t)count + 1, size);
    assert_non_null(made);
    return made;
}

static void fill_weights(int64_t n, int distinct, float *weights) {
    moe_random random = moe_random_stream(7, 7);
    for (int64_t i = 0; i < n; i++)
        weights[i] = (float)(moe_random_bits(random, (uint64_t)i) % (uint64_t)distinct) / 8 - 1;
}

static void check_counts(const map_case *c, const int *ids, const maps *got) {
    int64_t e = c->kernel->op.layer.e, slots = c->tokens * c->kernel->op.layer.k;
    int *counts = room(e, sizeof *counts);
    for (int64_t s = 0; s < slots; s++)
        if (ids[s] >= 0 && ids[s] < e) counts[ids[s]]++;
    assert_memory_equal(got->counts, counts, (size_t)e * sizeof *counts);
    free(counts);
}

static void check_gate(fixture *f, map_case *c, int distinct) {
    const moe_layer *layer = &c->kernel->op.layer;
    int64_t slots = c->tokens * layer->k;
    int *ids = room(slots, sizeof *ids);
    float *weights = room(slots, sizeof *weights);
    unsigned char *kept = room(slots, 1);
    unsigned long long *sums = room(layer->e, sizeof *sums);
    moe_arg_values args = {0};
    maps got = maps_make(c);
    map_fill_ids(c->pattern, c->tokens, layer->e, layer->k, (uint64_t)c->tokens, ids);
    fill_weights(slots, distinct, weights);
    moe_ref_capacity(layer, c->tokens, ids, weights, kept);
    args.value[MOE_ARG_ids] = fixture_put(f, ids, (size_t)slots * sizeof *ids);
    args.value[MOE_ARG_weights] = fixture_put(f, weights, (size_t)slots * sizeof *weights);
    args.value[MOE_ARG_prob_sums] = fixture_put(f, sums, (size_t)layer->e * sizeof *sums);
    map_case_bind(f, c, &args);
    c->kernel->op.t = c->tokens;
    fixture_run(f, c->kernel, &args);
    map_case_collect(f, c, &args, &got);
    fixture_forget(f);
    check_counts(c, ids, &got);
    for (int64_t s = 0; s < slots; s++) ids[s] = kept[s] ? ids[s] : -1;
    c->statistics = false;
    map_case_check(c, ids, &got);
    maps_free(&got);
    free(ids);
    free(weights);
    free(kept);
    free(sums);
}

static void check_case(fixture *f, const gate_case *g, const char *config) {
    static const int64_t tokens[] = {1, 7, 300};
    moe_layer layer;
    fixture_kernel kernel;
    CHECK(moe_layer_parse(g->layer, &layer));
    moe_op op = moe_op_make(MOE_OP_permute, &layer, 64, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    fixture_build(f, "permute", &op, config, &kernel);
    for (int t = 0; t < 3; t++)
        for (int p = 0; p < MAP_PATTERNS; p++)
            check_gate(f, &(map_case){.kernel = &kernel, .pattern = (map_pattern)p,
                                      .tokens = tokens[t], .row_align = p % 2 ? 16 : 1,
                                      .capacity = moe_layer_capacity(&layer, tokens[t]),
                                      .statistics = true},
                       g->distinct);
    fixture_kernel_free(f, &kernel);
}

static void keeps_the_largest_weights(void **state) {
    (void)state;
    static const gate_case cases[] = {
        {"d=8 f=8 e=4 k=2 capacity=0.5 priority=gate", 1},      /* all weights equal */
        {"d=8 f=8 e=8 k=3 capacity=0.75 priority=gate", 3},     /* many ties */
        {"d=8 f=8 e=5 k=2 capacity=1.25 priority=gate", 1000},
        {"d=8 f=8 e=3 k=1 capacity=0.1,gshard priority=gate", 50}, /* few rows, or none */
    };
    fixture f;
    fixture_open(&f, "sim:a100");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&f, &cases[i], "");
    check_case(&f, &cases[1], "blocks=32 threads=128 items=2 scan=1");
    fixture_close(&f);
}

static void schedules_do_not_matter(void **state) {
    (void)state;
    static const gate_case layer = {"d=8 f=8 e=4 k=2 capacity=0.75 priority=gate", 5};
    fixture f;
    fixture_open(&f, "sim:h100,seed=3");
    check_case(&f, &layer, "");
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_largest_weights),
        cmocka_unit_test(schedules_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
