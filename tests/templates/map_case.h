/* map_case.h - what a maker of index maps is asked for, gave, and should have given, for tests. */
#ifndef MAP_CASE_H
#define MAP_CASE_H

#include "fixture.h"

/* How ids are made. */
typedef enum map_pattern {
    MAP_UNIFORM, /* k different experts */
    MAP_ONE,     /* every token has the same k experts */
    MAP_EMPTY,   /* only even experts */
    MAP_REPEATS, /* any expert for any slot, so that a token may have one twice */
    MAP_FOREIGN, /* also ids that are no expert here */
    MAP_PATTERNS
} map_pattern;

/* Fills ids [T,k]. */
void map_fill_ids(map_pattern pattern, int64_t tokens, int64_t e, int64_t k, uint64_t seed,
                  int *ids);

/* One run; tokens above 0. */
typedef struct map_case {
    fixture_kernel *kernel;
    map_pattern pattern; /* of its ids, for messages */
    int64_t tokens, capacity, row_align;
    bool statistics; /* counts and mean_probs are asked for */
} map_case;

/* What came back; tables of moe_tile_heights. */
typedef struct maps {
    int *start, *rows, *row_slots, *slot_rows, *tiles, *counts;
    float *mean;
} maps;

maps maps_make(const map_case *c);
void maps_free(maps *m);

/* Makes the arrays that a launch writes, counts zeroed, and sets their arguments and numbers. */
void map_case_bind(fixture *f, const map_case *c, moe_arg_values *args);

/* Reads them back. */
void map_case_collect(fixture *f, const map_case *c, const moe_arg_values *args, maps *out);

/* Fails the test unless all maps, and with statistics the counts, are those of `ids`. */
void map_case_check(const map_case *c, const int *ids, const maps *got);

#endif
