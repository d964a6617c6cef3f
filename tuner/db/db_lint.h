/* db_lint.h - what is wrong with stored records, as text files and as databases.
 *
 * A finding is one line: "file:line: what" of a text file, "file: row: what" of a database. What is
 * only out of date, such as a row of a template that has changed since, is a warning. */
#ifndef MOE_DB_LINT_H
#define MOE_DB_LINT_H

#include "db/db_lint_row.h"

/* Looks at a folder of records (with all below it), a file of records (.txt), or a database.
 * MOE_E_NOT_FOUND (nothing there to look at), MOE_E_CORRUPT (not a tuning database), MOE_E_IO. */
moe_status moe_db_lint(moe_lint *lint, const char *path);

#endif
