/* label: unit */
/* test_check.c - every single fault of a routing or index kernel is seen and named; right ones
 * pass. */
#include "check.h"
#include "tolerance.h"
#include "workload.h"

#include <math.h>
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

/* ----------------------------------------------------------------------------------- route */

enum { T = 3, E = 5, K = 2 };

typedef struct fixture {
    moe_layer layer;
    double logits[T * E], tolerance, logit_error;
    int ids[T * K], counts[E];
    float weights[T * K], mean_probs[E];
    unsigned long long prob_sums[E];
} fixture;

static fixture right_route(void) {
    fixture f = {.layer = layer_of("d=64 f=8 e=5 k=2"),
                 .logits = {0, 1, 2, 3, 4, 5, 5, 1, 1, 1, -1, -2, -3, -4, -1.5},
                 .tolerance = 1e-5};
    double weights[T * K], probs[E];
    moe_ref_route(&f.layer, T, f.logits, NULL, f.ids, weights, f.counts, probs);
    for (int i = 0; i < T * K; i++) f.weights[i] = (float)weights[i];
    for (int e = 0; e < E; e++) {
        f.prob_sums[e] = (unsigned long long)(probs[e] * T * 0x1p32);
        f.mean_probs[e] = (float)probs[e];
    }
    return f;
}

static moe_verdict judge_route(const fixture *f) {
    const moe_route_result got = {f->ids, f->weights, f->counts, f->prob_sums, f->mean_probs};
    moe_verdict verdict;
    assert_int_equal(moe_check_route(&f->layer, T, f->logits, NULL, f->logit_error, f->tolerance,
                                     &got, &verdict),
                     MOE_OK);
    return verdict;
}

static void assert_named(moe_verdict verdict, const char *text) {
    assert_false(verdict.ok);
    if (!strstr(verdict.text, text)) fail_msg("'%s' does not name '%s'", verdict.text, text);
}

static void right_routes_pass(void **state) {
    (void)state;
    fixture f = right_route();
    moe_verdict verdict = judge_route(&f);
    assert_true(verdict.ok && verdict.text[0] == '\0' && verdict.error < 1e-7);
    const moe_route_result bare = {.ids = f.ids, .weights = f.weights};
    moe_check_route(&f.layer, T, f.logits, NULL, 0, 1e-5, &bare, &verdict);
    assert_true(verdict.ok);
    moe_check_route(&f.layer, 0, f.logits, NULL, 0, 1e-5, &bare, &verdict);
    assert_true(verdict.ok);
}

static void wrong_routes_are_named(void **state) {
    (void)state;
    fixture f = right_route();
    f.ids[3] = 5;
    assert_named(judge_route(&f), "ids[1,1] is 5");
    f = right_route(), f.ids[5] = f.ids[4];
    assert_named(judge_route(&f), "ids[2,1] is 0, as ids[2,0]");
    f = right_route(), f.ids[1] = 2;
    assert_named(judge_route(&f), "ids[0,1] is 2 with key 2, below the k-th best, 3");
    f = right_route(), f.ids[0] = 3, f.ids[1] = 4;
    assert_named(judge_route(&f), "ids[0,0] is 3, should be 4: keys 3 and 4");
    f = right_route(), f.ids[0] = 3, f.ids[1] = 4, f.logit_error = 0.4;
    assert_named(judge_route(&f), "ids[0,1] is 4 with key 4, above 3");
    f = right_route(), f.ids[2] = 1, f.ids[3] = 0; /* a tie, the wrong way round */
    assert_named(judge_route(&f), "ids[1,0] is 1, should be 0");
    f = right_route(), f.weights[2] += 1e-4f;
    assert_named(judge_route(&f), "weights[1,0]");
    f = right_route(), f.weights[4] = NAN;
    assert_named(judge_route(&f), "weights[2,0]");
    f = right_route(), f.counts[4]++;
    assert_named(judge_route(&f), "counts[4]");
    f = right_route(), f.prob_sums[1] += 1 << 20;
    assert_named(judge_route(&f), "prob_sums[1]");
    f = right_route(), f.mean_probs[0] = NAN;
    assert_named(judge_route(&f), "mean_probs[0]");
}

/* Near ties may go either way, and the weights then follow the kernel's own choice. */
static void near_ties_may_turn(void **state) {
    (void)state;
    fixture f = right_route();
    f.logits[2] = 3.001, f.logits[3] = 3; /* second choice of token 0: 2, or 3 with fp32 errors */
    f.ids[1] = 3;
    double weights[T * K];
    moe_ref_weights(&f.layer, T, f.logits, f.ids, weights);
    f.weights[0] = (float)weights[0], f.weights[1] = (float)weights[1];
    const moe_route_result got = {.ids = f.ids, .weights = f.weights};
    moe_verdict verdict;
    moe_check_route(&f.layer, T, f.logits, NULL, 0.001, f.tolerance, &got, &verdict);
    assert_true(verdict.ok);
    moe_check_route(&f.layer, T, f.logits, NULL, 0.0001, f.tolerance, &got, &verdict);
    assert_named(verdict, "ids[0,1] is 3");
}

/* Whether expert 1 is near expert 0 is in doubt, and with it both weights once they are divided by
 * their sum: 1/(1+1/e) and 1, or 1 and 1. */
static void weights_in_doubt_may_be_either(void **state) {
    (void)state;
    const moe_layer layer = layer_of("d=64 f=8 e=3 k=2 router=topk>sparsemixer(0.1)>renorm");
    static const double logits[] = {5, 4, 1};
    static const struct {
        float weights[2];
        bool right;
    } cases[] = {{{0.5f, 0.5f}, true}, {{0.42231882f, 0.57768118f}, true}, {{0.4f, 0.6f}, false},
                 {{0.52f, 0.48f}, false}};
    for (int i = 0; i < 4; i++) {
        const moe_route_result got = {.ids = (int[]){0, 1}, .weights = cases[i].weights};
        moe_verdict verdict;
        assert_int_equal(moe_check_route(&layer, 1, logits, NULL, 0, 1e-5, &got, &verdict), MOE_OK);
        assert_int_equal(verdict.ok, cases[i].right);
    }
}

static void odd_logits_need_valid_ids_only(void **state) {
    (void)state;
    fixture f = right_route();
    f.logits[0] = NAN;
    f.ids[0] = 1, f.ids[1] = 0, f.weights[0] = NAN;
    const moe_route_result got = {.ids = f.ids, .weights = f.weights};
    moe_verdict verdict;
    moe_check_route(&f.layer, T, f.logits, NULL, 0, f.tolerance, &got, &verdict);
    assert_true(verdict.ok);
    f.ids[1] = 1;
    moe_check_route(&f.layer, T, f.logits, NULL, 0, f.tolerance, &got, &verdict);
    assert_named(verdict, "ids[0,1]");
}

/* ------------------------------------------------------------------------------------ maps */

enum { MAX_ROWS = 4096, MAX_MAP_EXPERTS = 64, HEIGHTS = 7 };
static const int heights[HEIGHTS] = {8, 16, 32, 64, 128, 192, 256};

typedef struct maps {
    moe_layer layer;
    int64_t tokens, align;
    int ids[MAX_ROWS], start[MAX_MAP_EXPERTS + 1], rows[MAX_MAP_EXPERTS], counts[MAX_MAP_EXPERTS];
    int row_slots[MAX_ROWS], slot_rows[MAX_ROWS], tiles[HEIGHTS * (MAX_MAP_EXPERTS + 1)];
} maps;

/* A plain permutation: experts one after the other, each takes its slots by choice, then token. */
static void place_rows(maps *m) {
    int row = 0, room = (int)moe_layer_capacity(&m->layer, m->tokens), e = (int)m->layer.e;
    for (int s = 0; s < MAX_ROWS; s++) m->row_slots[s] = m->slot_rows[s] = -1;
    for (int expert = 0; expert < e; expert++) {
        m->start[expert] = row;
        for (int64_t i = 0; i < m->tokens * m->layer.k; i++) {
            int slot = (int)(i % m->tokens * m->layer.k + i / m->tokens);
            if (m->ids[slot] != expert) continue;
            m->counts[expert]++;
            if (m->rows[expert] == room) continue;
            m->row_slots[row] = slot;
            m->slot_rows[slot] = row++;
            m->rows[expert]++;
        }
        while (row % m->align) row++;
    }
    m->start[e] = row;
}

static void place_tiles(maps *m) {
    for (int t = 0; t < HEIGHTS; t++) {
        int total = 0;
        for (int expert = 0; expert <= m->layer.e; expert++) {
            m->tiles[t * (m->layer.e + 1) + expert] = total;
            if (expert < m->layer.e) total += (m->rows[expert] + heights[t] - 1) / heights[t];
        }
    }
}

static void make_maps(maps *m, const char *text, int64_t tokens, int64_t align, int seed) {
    *m = (maps){.layer = layer_of(text), .tokens = tokens, .align = align};
    for (int64_t s = 0; s < tokens * m->layer.k; s++)
        m->ids[s] = (int)((s * s * 31 + seed * s * 17 + s / 3) % (m->layer.e + 1)) - (seed & 1);
    place_rows(m);
    place_tiles(m);
}

static moe_verdict judge_maps(const maps *m) {
    const moe_maps got = {m->start, m->rows,   m->row_slots, m->slot_rows,
                          m->tiles, m->counts, MAX_ROWS};
    moe_verdict verdict;
    assert_int_equal(moe_check_maps(&m->layer, m->tokens, m->align, m->ids, NULL, &got, &verdict),
                     MOE_OK);
    return verdict;
}

static void right_maps_pass(void **state) {
    (void)state;
    static const char *const texts[] = {"d=8 f=8 e=7 k=3", "d=8 f=8 e=64 k=8 capacity=1.25",
                                        "d=8 f=8 e=5 k=2 capacity=0.3"};
    static const int64_t aligns[] = {1, 16, 32};
    static maps m;
    for (int i = 0; i < 3; i++) {
        for (int64_t tokens = 0; tokens < 130; tokens += 43) {
            make_maps(&m, texts[i], tokens, aligns[i], i);
            moe_verdict verdict = judge_maps(&m);
            if (!verdict.ok) fail_msg("%s: %s", texts[i], verdict.text);
        }
    }
}

static void order_within_an_expert_is_free(void **state) {
    (void)state;
    static maps m;
    make_maps(&m, "d=8 f=8 e=4 k=2", 20, 1, 0);
    int a = m.row_slots[0], b = m.row_slots[1];
    m.row_slots[0] = b, m.row_slots[1] = a, m.slot_rows[a] = 1, m.slot_rows[b] = 0;
    assert_true(judge_maps(&m).ok);
}

static void wrong_maps_are_named(void **state) {
    (void)state;
    static maps m;
    const char *text = "d=8 f=8 e=4 k=2 capacity=0.7";
    int dropped = 0, slot;
#define FRESH make_maps(&m, text, 20, 16, 0)
    FRESH, m.start[0] = 16;
    assert_named(judge_maps(&m), "expert_start[0]");
    FRESH, m.start[2] += 16;
    assert_named(judge_maps(&m), "expert_start[2]");
    FRESH, m.rows[3]--;
    assert_named(judge_maps(&m), "expert_rows[3]");
    FRESH, m.row_slots[m.start[1] + m.rows[1]] = 0;
    assert_named(judge_maps(&m), "row_slots[");
    FRESH, m.row_slots[m.start[2]]++;
    assert_named(judge_maps(&m), "row_slots[");
    FRESH, slot = m.row_slots[m.start[2]], m.slot_rows[slot] = -1;
    assert_named(judge_maps(&m), "slot_rows[");
    FRESH, slot = m.row_slots[m.start[2]], m.slot_rows[slot] = m.start[1];
    assert_named(judge_maps(&m), "slot_rows[");
    FRESH;
    while (m.ids[dropped] < 0 || m.ids[dropped] > 3 || m.slot_rows[dropped] >= 0) dropped++;
    m.slot_rows[dropped] = m.start[m.ids[dropped]];
    assert_named(judge_maps(&m), "has no room");
    FRESH, m.tiles[2 * 5 + 3]++;
    assert_named(judge_maps(&m), "tile_start[2,3] (tiles of 32 rows)");
    FRESH, m.tiles[5 * 5 + 4]++;
    assert_named(judge_maps(&m), "tile_start[5,4] (tiles of 192 rows)");
    FRESH, m.counts[1]--;
    assert_named(judge_maps(&m), "counts[1]");
#undef FRESH
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_routes_pass),    cmocka_unit_test(wrong_routes_are_named),
        cmocka_unit_test(near_ties_may_turn),   cmocka_unit_test(odd_logits_need_valid_ids_only),
        cmocka_unit_test(weights_in_doubt_may_be_either),
        cmocka_unit_test(right_maps_pass),      cmocka_unit_test(order_within_an_expert_is_free),
        cmocka_unit_test(wrong_maps_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
