/* db_lint.h - what is wrong with stored records, as text files and as databases.
 *
 * A finding is one line: "file:line: what" of a text file, "file: row: what" of a database. What is
 * only out of date, such as a row of a template that has changed since, is a warning. */
#ifndef MOE_DB_LINT_H
#define MOE_DB_LINT_H

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

/* Looks at a folder of records (with all below it), a file of records (.txt), or a database.
 * MOE_E_NOT_FOUND (nothing there to look at), MOE_E_CORRUPT (not a tuning database), MOE_E_IO. */
moe_status moe_db_lint(moe_lint *lint, const char *path);

/* The parts: a text file, a database; both count one file. */
moe_status moe_lint_text(moe_lint *lint, const char *path);
moe_status moe_lint_database(moe_lint *lint, const char *path);

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
