/* db_diff.h - what changed from one database to another: winners of ops, and layers. */
#ifndef MOE_DB_DIFF_H
#define MOE_DB_DIFF_H

#include "store/storage.h"

#include <stdio.h>

typedef enum moe_change {
    MOE_CHANGE_BROKEN, /* something worked, and nothing does any more */
    MOE_CHANGE_SLOWER, /* beyond the noise of both, see moe_noise */
    MOE_CHANGE_FASTER,
    MOE_CHANGE_OTHER, /* as fast, by another template, config or pipeline */
    MOE_CHANGE_NEW,
    MOE_CHANGE_GONE,
    MOE_CHANGE_SAME,
    MOE_CHANGE_COUNT
} moe_change;

/* What stands under one key: device (arch, name and SM count, since a driver may report other
 * clocks), op, or workload of a layer. */
typedef struct moe_contest {
    char *key;    /* owned: "device | op" */
    char *winner; /* owned: template and config; of a layer: pipeline, templates and configs */
    moe_measurement measurement; /* of the winner; its outcome tells if there is one */
} moe_contest;

typedef struct moe_difference {
    moe_change change;
    const moe_contest *before, *after; /* NULL: not there */
    double noise; /* least difference that means anything, ns */
} moe_difference;

typedef struct moe_db_diff {
    moe_contest *contest[2]; /* owned, sorted by key: before, after */
    int64_t contests[2], room[2];
    moe_difference *difference; /* owned, by key */
    int64_t differences;
    int64_t count[MOE_CHANGE_COUNT];
} moe_db_diff;

/* MOE_E_CORRUPT, MOE_E_IO, MOE_E_MEMORY. `out` is freed by the caller even after a failure. */
moe_status moe_db_compare(moe_storage *before, moe_storage *after, moe_db_diff *out);
void moe_db_diff_free(moe_db_diff *diff);

/* True where nothing got slower and nothing broke. */
bool moe_db_diff_good(const moe_db_diff *diff);

/* What changed, worst first, and a line of sums. JSON also has what did not. */
void moe_db_diff_table(const moe_db_diff *diff, FILE *to);
void moe_db_diff_json(const moe_db_diff *diff, FILE *to);

#endif
