/* covering.c - few combinations of many factors that still hold every pair of levels.
 *
 * Greedy: each new row starts from a pair that is still missing, takes the other levels at random,
 * and is improved one factor at a time while that covers more missing pairs. */
#include "regress/covering.h"

#include "core/list.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES = 12, RANDOM_TRIES = 4000 };

typedef struct covering {
    const moe_factors *factors;
    int first[MOE_MAX_FACTORS + 1]; /* number of each factor's level 0 among all levels */
    int all;                        /* levels of all factors */
    bool *missing;                  /* [all][all] pairs, lower level first */
    uint64_t random;
    int *rows;
    int64_t n, room;
} covering;

static int random_below(covering *c, int n) {
    uint64_t z = c->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (int)((z ^ (z >> 31)) % (uint64_t)n);
}

static bool *pair(covering *c, int a, int level_a, int b, int level_b) {
    int x = c->first[a] + level_a, y = c->first[b] + level_b;
    return &c->missing[x < y ? x * c->all + y : y * c->all + x];
}

static int count_missing(covering *c, const int *row) {
    int count = 0;
    for (int a = 0; a < c->factors->count; a++)
        for (int b = a + 1; b < c->factors->count; b++) count += *pair(c, a, row[a], b, row[b]);
    return count;
}

static bool legal(const covering *c, const int *row) {
    return !c->factors->legal || c->factors->legal(row);
}

/* A legal row that holds the pair, or false if none was met. */
static bool complete(covering *c, int a, int level_a, int b, int level_b, int *row) {
    for (int i = 0; i < RANDOM_TRIES; i++) {
        for (int f = 0; f < c->factors->count; f++)
            row[f] = random_below(c, c->factors->levels[f]);
        row[a] = level_a;
        row[b] = level_b;
        if (legal(c, row)) return true;
    }
    return false;
}

/* Changes one factor at a time, those of the pair excepted, while more pairs get covered. */
static void improve(covering *c, int a, int b, int *row) {
    int best = count_missing(c, row);
    for (bool better = true; better;) {
        better = false;
        for (int f = 0; f < c->factors->count; f++) {
            int kept = row[f], choice = kept;
            if (f == a || f == b) continue;
            for (int level = 0; level < c->factors->levels[f]; level++) {
                row[f] = level;
                int count = legal(c, row) ? count_missing(c, row) : -1;
                if (count <= best) continue;
                best = count;
                choice = level;
                better = true;
            }
            row[f] = choice;
        }
    }
}

static moe_status keep(covering *c, const int *row) {
    int width = c->factors->count;
    MOE_TRY(moe_list_grow(&c->rows, c->n, &c->room, (size_t)width * sizeof *c->rows));
    memcpy(c->rows + c->n++ * width, row, (size_t)width * sizeof *row);
    return MOE_OK;
}

static void cover(covering *c, const int *row) {
    for (int a = 0; a < c->factors->count; a++)
        for (int b = a + 1; b < c->factors->count; b++)
            *pair(c, a, row[a], b, row[b]) = false;
}

/* The best of some rows that hold a missing pair; a pair that no legal row holds is given up. */
static moe_status add_row(covering *c, int a, int level_a, int b, int level_b) {
    int row[MOE_MAX_FACTORS], best[MOE_MAX_FACTORS], most = -1;
    for (int i = 0; i < TRIES; i++) {
        if (!complete(c, a, level_a, b, level_b, row)) break;
        improve(c, a, b, row);
        int count = count_missing(c, row);
        if (count <= most) continue;
        most = count;
        memcpy(best, row, sizeof best);
    }
    if (most < 0) {
        *pair(c, a, level_a, b, level_b) = false;
        return MOE_OK;
    }
    cover(c, best);
    return keep(c, best);
}

static moe_status cover_all(covering *c) {
    const moe_factors *f = c->factors;
    for (int a = 0; a < f->count; a++)
        for (int b = a + 1; b < f->count; b++)
            for (int i = 0; i < f->levels[a]; i++)
                for (int j = 0; j < f->levels[b]; j++)
                    if (*pair(c, a, i, b, j)) MOE_TRY(add_row(c, a, i, b, j));
    return MOE_OK;
}

moe_status moe_covering(const moe_factors *factors, uint64_t seed, int **rows, int64_t *n) {
    covering c = {.factors = factors, .random = seed};
    for (int f = 0; f < factors->count; f++) c.first[f + 1] = c.first[f] + factors->levels[f];
    c.all = c.first[factors->count];
    c.missing = malloc((size_t)(c.all * c.all) * sizeof *c.missing);
    if (!c.missing) return moe_fail(MOE_E_MEMORY, "no memory for pairs");
    memset(c.missing, true, (size_t)(c.all * c.all) * sizeof *c.missing);
    moe_status status = cover_all(&c);
    free(c.missing);
    if (status) {
        free(c.rows);
        return status;
    }
    *rows = c.rows;
    *n = c.n;
    return MOE_OK;
}

moe_status moe_full_product(const moe_factors *factors, int **rows, int64_t *n) {
    covering c = {.factors = factors};
    int row[MOE_MAX_FACTORS] = {0};
    moe_status status = MOE_OK;
    for (int f = 0; f >= 0 && !status;) {
        if (legal(&c, row)) status = keep(&c, row);
        for (f = factors->count - 1; f >= 0 && ++row[f] == factors->levels[f]; f--) row[f] = 0;
    }
    if (status) {
        free(c.rows);
        return status;
    }
    *rows = c.rows;
    *n = c.n;
    return MOE_OK;
}
