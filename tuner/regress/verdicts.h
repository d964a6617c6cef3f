/* verdicts.h - a list of checks and how they came out: as a table, as JSON, as JUnit XML. */
#ifndef MOE_VERDICTS_H
#define MOE_VERDICTS_H

#include "core/measurement.h"
#include "core/op.h"

#include <stdio.h>

typedef struct moe_check_row {
    char name[MOE_OP_TEXT_SIZE + 64]; /* the layer's or op's text */
    char what[640];      /* what was checked: a kernel's template and config, or the whole plan */
    int64_t t;
    moe_outcome outcome; /* ok, wrong, or as moe_outcome_of says */
    double error, tolerance;
    double rel_l2, yardstick; /* of a whole layer; 0: none */
    char text[1024];     /* what is wrong, or "" */
    double seconds;      /* that the check took */
} moe_check_row;

typedef struct moe_verdicts {
    moe_check_row *row; /* owned */
    int64_t count, room, failed;
} moe_verdicts;

/* Appends a copy. MOE_E_MEMORY. */
moe_status moe_verdicts_add(moe_verdicts *list, const moe_check_row *row);
void moe_verdicts_free(moe_verdicts *list);

/* One line a check; what is wrong stands below the table. */
void moe_verdicts_table(const moe_verdicts *list, FILE *to);
void moe_verdicts_json(const moe_verdicts *list, const char *device, FILE *to);

/* MOE_E_IO. */
moe_status moe_verdicts_junit(const moe_verdicts *list, const char *device, const char *path);

#endif
