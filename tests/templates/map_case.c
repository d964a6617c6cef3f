/* map_case.c - what a maker of index maps is asked for, gave, and should have given, for tests. */
#include "map_case.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TABLES = MOE_TILE_HEIGHTS };

static void *room(size_t count, size_t size) {
    void *made = calloc(count + 1, size);
    assert_non_null(made);
    return made;
}

static size_t most_rows(const map_case *c) {
    const moe_layer *layer = &c->kernel->op.layer;
    return (size_t)(c->tokens * layer->k + layer->e * (c->row_align - 1));
}

maps maps_make(const map_case *c) {
    size_t experts = (size_t)c->kernel->op.layer.e;
    size_t slots = (size_t)(c->tokens * c->kernel->op.layer.k);
    return (maps){
        .start = room(experts + 1, sizeof(int)),
        .rows = room(experts, sizeof(int)),
        .row_slots = room(most_rows(c), sizeof(int)),
        .slot_rows = room(slots, sizeof(int)),
        .tiles = room(TABLES * (experts + 1), sizeof(int)),
        .counts = room(experts, sizeof(int)),
        .mean = room(experts, sizeof(float)),
    };
}

void maps_free(maps *m) {
    void *all[] = {m->start, m->rows, m->row_slots, m->slot_rows, m->tiles, m->counts, m->mean};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

void map_fill_ids(map_pattern p, int64_t tokens, int64_t e, int64_t k, uint64_t seed, int *ids) {
    moe_random random = moe_random_stream(seed, (uint64_t)p);
    for (int64_t s = 0; s < tokens * k; s++) {
        int64_t t = s / k, j = s % k;
        int64_t any = (int64_t)(moe_random_bits(random, (uint64_t)s) % (uint64_t)(e + 2));
        int64_t first = (int64_t)(moe_random_bits(random, (uint64_t)(1000000 + t)) % (uint64_t)e);
        switch (p) {
        case MAP_UNIFORM: ids[s] = (int)((first + j * (e / k)) % e); break;
        case MAP_ONE: ids[s] = (int)((e - 1 + j) % e); break;
        case MAP_EMPTY: ids[s] = (int)((first / 2 * 2 + 2 * j) % (e + e % 2)); break;
        case MAP_REPEATS: ids[s] = (int)(any % e); break;
        case MAP_FOREIGN: ids[s] = (int)(any - 1) == e / 2 ? 1 << 30 : (int)any - 1; break;
        case MAP_PATTERNS: break;
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

static void same(const map_case *c, const char *what, const int *got, const int *want, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (got[i] != want[i])
            fail_msg("%s: ids %d, T=%lld capacity=%lld row_align=%lld: %s[%lld] is %d, "
                     "should be %d",
                     c->kernel->what, c->pattern, (long long)c->tokens, (long long)c->capacity,
                     (long long)c->row_align, what, (long long)i, got[i], want[i]);
}

void map_case_bind(fixture *f, const map_case *c, moe_arg_values *args) {
    size_t experts = (size_t)c->kernel->op.layer.e;
    size_t slots = (size_t)(c->tokens * c->kernel->op.layer.k);
    args->value[MOE_ARG_expert_start] = fixture_room(f, (experts + 1) * sizeof(int));
    args->value[MOE_ARG_expert_rows] = fixture_room(f, experts * sizeof(int));
    args->value[MOE_ARG_row_slots] = fixture_room(f, most_rows(c) * sizeof(int));
    args->value[MOE_ARG_slot_rows] = fixture_room(f, slots * sizeof(int));
    args->value[MOE_ARG_tile_start] = fixture_room(f, TABLES * (experts + 1) * sizeof(int));
    args->value[MOE_ARG_capacity] = (uint64_t)c->capacity;
    args->value[MOE_ARG_row_align] = (uint64_t)c->row_align;
    if (!c->statistics) return;
    int *zeros = room(experts, sizeof *zeros);
    args->value[MOE_ARG_counts] = fixture_put(f, zeros, experts * sizeof(int));
    args->value[MOE_ARG_mean_probs] = fixture_room(f, experts * sizeof(float));
    free(zeros);
}

void map_case_collect(fixture *f, const map_case *c, const moe_arg_values *args, maps *out) {
    size_t experts = (size_t)c->kernel->op.layer.e;
    size_t slots = (size_t)(c->tokens * c->kernel->op.layer.k);
    const uint64_t *from = args->value;
    fixture_get(f, from[MOE_ARG_expert_start], out->start, (experts + 1) * sizeof(int));
    fixture_get(f, from[MOE_ARG_expert_rows], out->rows, experts * sizeof(int));
    fixture_get(f, from[MOE_ARG_row_slots], out->row_slots, most_rows(c) * sizeof(int));
    fixture_get(f, from[MOE_ARG_slot_rows], out->slot_rows, slots * sizeof(int));
    fixture_get(f, from[MOE_ARG_tile_start], out->tiles, TABLES * (experts + 1) * sizeof(int));
    if (!c->statistics) return;
    fixture_get(f, from[MOE_ARG_counts], out->counts, experts * sizeof(int));
    fixture_get(f, from[MOE_ARG_mean_probs], out->mean, experts * sizeof(float));
}

void map_case_check(const map_case *c, const int *ids, const maps *got) {
    int64_t e = c->kernel->op.layer.e, k = c->kernel->op.layer.k;
    maps want = maps_make(c);
    expect(ids, c->tokens, e, k, c->capacity, c->row_align, &want);
    same(c, "expert_rows", got->rows, want.rows, e);
    same(c, "expert_start", got->start, want.start, e + 1);
    same(c, "slot_rows", got->slot_rows, want.slot_rows, c->tokens * k);
    same(c, "row_slots", got->row_slots, want.row_slots, want.start[e]);
    same(c, "tile_start", got->tiles, want.tiles, TABLES * (e + 1));
    if (c->statistics) same(c, "counts", got->counts, want.counts, e);
    maps_free(&want);
}
