/* db_lint_row.h - what is wrong with a stored record, wherever it is stored. */
#ifndef MOE_DB_LINT_ROW_H
#define MOE_DB_LINT_ROW_H

#include "gen.h"
#include "store/storage.h"
#include "text/lines.h"

#include <stdio.h>

typedef struct moe_lint {
    const moe_gen *gen; /* the templates at hand */
    FILE *to;
    int64_t files, rows, findings, warnings;
    moe_lines stale; /* owned: templates of the present file that a warning names already */
} moe_lint;

/* Where a row stands: "tuning_db/records/sim-h100/route.txt:7". */
typedef struct moe_lint_place {
    char text[MOE_RECORD_TEXT_SIZE + 4096];
} moe_lint_place;

void moe_lint_say(moe_lint *lint, const moe_lint_place *at, const char *format, ...)
    MOE_PRINTF(3, 4);
void moe_lint_warn(moe_lint *lint, const moe_lint_place *at, const char *format, ...)
    MOE_PRINTF(3, 4);

/* Does a row's evidence hold together, on this device? */
void moe_lint_evidence(moe_lint *lint, const moe_lint_place *at, const moe_facts *facts,
                       const moe_measurement *m, const moe_provenance *p);

/* Do median and spread follow from the samples? "" is none kept. */
void moe_lint_samples(moe_lint *lint, const moe_lint_place *at, const moe_measurement *m,
                      const char *samples);

/* Is the template the one at hand? Warns once a file. MOE_E_MEMORY. */
moe_status moe_lint_template(moe_lint *lint, const moe_lint_place *at, const char *id);

/* Does a layer's pipeline exist, and are its templates at hand? MOE_E_MEMORY. */
moe_status moe_lint_steps(moe_lint *lint, const moe_lint_place *at, const moe_choice *choice);

/* The key of a step's record. */
moe_record moe_lint_step(const moe_choice *choice, int64_t step);

#endif
