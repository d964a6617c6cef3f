/* label: sim */
/* test_permute.c - both permute templates on a simulated GPU against plain loops: every entry of
 * every map, for all that ids, capacities and alignments can be. */
#include "fixture.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TABLES = MOE_TILE_HEIGHTS };

/* How ids are made. */
typedef enum pattern {
    UNIFORM, /* k different experts */
    ONE,     /* every token has the same k experts */
    EMPTY,   /* only even experts */
    REPEATS, /* any expert for any slot, so that a token may have one twice */
    FOREIGN, /* also ids that are no expert here */
    PATTERNS
} pattern;

typedef struct maps {
    int *start, *rows, *row_slots, *slot_rows, *tiles, *counts;
    float *mean;
} maps;

static void *room(size_t count, size_t size) {
    void *made = calloc(count + 1, size);
    assert_non_null(made);
    return made;
}

static maps maps_room(int64_t slots, int64_t e, int64_t row_align) {
    size_t experts = (size_t)e, most = (size_t)(slots + e * (row_align - 1));
    return (maps){
        .start = room(experts + 1, sizeof(int)),
        .rows = room(experts, sizeof(int)),
        .row_slots = room(most, sizeof(int)),
        .slot_rows = room((size_t)slots, sizeof(int)),
        .tiles = room(TABLES * (experts + 1), sizeof(int)),
        .counts = room(experts, sizeof(int)),
        .mean = room(experts, sizeof(float)),
    };
}

static void maps_free(maps *m) {
    void *all[] = {m->start, m->rows, m->row_slots, m->slot_rows, m->tiles, m->counts, m->mean};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void fill_ids(pattern p, int64_t tokens, int64_t e, int64_t k, uint64_t seed, int *ids) {
    moe_random random = moe_random_stream(seed, (uint64_t)p);
    for (int64_t s = 0; s < tokens * k; s++) {
        int64_t t = s / k, j = s % k;
        int64_t any = (int64_t)(moe_random_bits(random, (uint64_t)s) % (uint64_t)(e + 2));
        int64_t first = (int64_t)(moe_random_bits(random, (uint64_t)(1000000 + t)) % (uint64_t)e);
        switch (p) {
        case UNIFORM: ids[s] = (int)((first + j * (e / k)) % e); break;
        case ONE: ids[s] = (int)((e - 1 + j) % e); break;
        case EMPTY: ids[s] = (int)((first / 2 * 2 + 2 * j) % (e + e % 2)); break;
        case REPEATS: ids[s] = (int)(any % e); break;
        case FOREIGN: ids[s] = (int)(any - 1) == e / 2 ? 1 << 30 : (int)any - 1; break;
        case PATTERNS: break;
        }
    }
}

/* The maps as they are defined: rows by expert, in an expert by choice, then by token. */
static void expect(const int *ids, int64_t tokens, int64_t e, int64_t k, int64_t capacity,
                   int64_t row_align, maps *m) {
    int64_t next = 0;
    for (int64_t s = 0; s < tokens * k; s++) m->slot_rows[s] = -1;
    for (int expert = 0; expert < e; expert++) {
        int64_t row = next;
        m->start[expert] = (int)next;
        for (int64_t j = 0; j < k; j++) {
            for (int64_t t = 0; t < tokens; t++) {
                if (ids[t * k + j] != expert) continue;
                m->counts[expert]++;
                if (row - next == capacity) continue;
                m->slot_rows[t * k + j] = (int)row;
                m->row_slots[row++] = (int)(t * k + j);
            }
        }
        m->rows[expert] = (int)(row - next);
        for (next = row; next % row_align; next++) m->row_slots[next] = -1;
    }
    m->start[e] = (int)next;
    for (int table = 0; table < TABLES; table++) {
        int *tiles = m->tiles + table * (e + 1);
        for (int64_t i = 0; i < e; i++)
            tiles[i + 1] = tiles[i] + (m->rows[i] + moe_tile_heights[table] - 1) /
                                      moe_tile_heights[table];
    }
}

typedef struct map_case {
    fixture_kernel *kernel;
    pattern pattern;
    int64_t tokens, capacity, row_align;
    bool statistics; /* counts and mean_probs are asked for */
} map_case;

static void same(const map_case *c, const char *what, const int *got, const int *want, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (got[i] != want[i])
            fail_msg("%s: ids %d, T=%lld capacity=%lld row_align=%lld: %s[%lld] is %d, "
                     "should be %d",
                     c->kernel->what, c->pattern, (long long)c->tokens, (long long)c->capacity,
                     (long long)c->row_align, what, (long long)i, got[i], want[i]);
}

static void run_maps(fixture *f, const map_case *c, const int *ids, maps *got) {
    int64_t e = c->kernel->op.layer.e, slots = c->tokens * c->kernel->op.layer.k;
    size_t rows = (size_t)(slots + e * (c->row_align - 1)), experts = (size_t)e;
    unsigned long long *sums = room(experts, sizeof *sums);
    moe_arg_values args = {0};
    for (int64_t i = 0; i < e; i++) sums[i] = (unsigned long long)(i * c->tokens) << 30;
    args.value[MOE_ARG_ids] = fixture_put(f, ids, (size_t)slots * sizeof(int));
    args.value[MOE_ARG_expert_start] = fixture_room(f, (experts + 1) * sizeof(int));
    args.value[MOE_ARG_expert_rows] = fixture_room(f, experts * sizeof(int));
    args.value[MOE_ARG_row_slots] = fixture_room(f, rows * sizeof(int));
    args.value[MOE_ARG_slot_rows] = fixture_room(f, (size_t)slots * sizeof(int));
    args.value[MOE_ARG_tile_start] = fixture_room(f, TABLES * (experts + 1) * sizeof(int));
    args.value[MOE_ARG_capacity] = (uint64_t)c->capacity;
    args.value[MOE_ARG_row_align] = (uint64_t)c->row_align;
    if (c->statistics) {
        args.value[MOE_ARG_counts] = fixture_put(f, got->counts, experts * sizeof(int));
        args.value[MOE_ARG_prob_sums] = fixture_put(f, sums, experts * sizeof *sums);
        args.value[MOE_ARG_mean_probs] = fixture_room(f, experts * sizeof(float));
    }
    c->kernel->op.t = c->tokens;
    fixture_run(f, c->kernel, &args);
    fixture_get(f, args.value[MOE_ARG_expert_start], got->start, (experts + 1) * sizeof(int));
    fixture_get(f, args.value[MOE_ARG_expert_rows], got->rows, experts * sizeof(int));
    fixture_get(f, args.value[MOE_ARG_row_slots], got->row_slots, rows * sizeof(int));
    fixture_get(f, args.value[MOE_ARG_slot_rows], got->slot_rows, (size_t)slots * sizeof(int));
    fixture_get(f, args.value[MOE_ARG_tile_start], got->tiles,
                TABLES * (experts + 1) * sizeof(int));
    if (c->statistics) {
        fixture_get(f, args.value[MOE_ARG_counts], got->counts, experts * sizeof(int));
        fixture_get(f, args.value[MOE_ARG_mean_probs], got->mean, experts * sizeof(float));
    }
    fixture_forget(f);
    free(sums);
}

static void check_maps(fixture *f, const map_case *c) {
    int64_t e = c->kernel->op.layer.e, k = c->kernel->op.layer.k, slots = c->tokens * k;
    maps want = maps_room(slots, e, c->row_align), got = maps_room(slots, e, c->row_align);
    int *ids = room((size_t)slots, sizeof *ids);
    fill_ids(c->pattern, c->tokens, e, k, (uint64_t)(c->tokens + 7 * e), ids);
    expect(ids, c->tokens, e, k, c->capacity, c->row_align, &want);
    run_maps(f, c, ids, &got);
    same(c, "expert_rows", got.rows, want.rows, e);
    same(c, "expert_start", got.start, want.start, e + 1);
    same(c, "slot_rows", got.slot_rows, want.slot_rows, slots);
    same(c, "row_slots", got.row_slots, want.row_slots, want.start[e]);
    same(c, "tile_start", got.tiles, want.tiles, TABLES * (e + 1));
    if (c->statistics) {
        same(c, "counts", got.counts, want.counts, e);
        for (int64_t i = 0; i < e; i++)
            if (got.mean[i] != (float)i / 4)
                fail_msg("%s: mean_probs[%lld] is %.9g, should be %.9g", c->kernel->what,
                         (long long)i, (double)got.mean[i], (double)i / 4);
    }
    free(ids);
    maps_free(&want);
    maps_free(&got);
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
    for (int p = 0; p < PATTERNS; p++) {
        int64_t some = (slots * 5 / 4 + e - 1) / e, capacities[] = {slots, some, 1};
        for (int i = 0; i < 3; i++)
            check_maps(f, &(map_case){.kernel = kernel,
                                      .pattern = (pattern)p,
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
