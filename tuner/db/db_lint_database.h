/* db_lint_database.h - what is wrong with a database. */
#ifndef MOE_DB_LINT_DATABASE_H
#define MOE_DB_LINT_DATABASE_H

#include "db/db_lint_row.h"

/* Says what is wrong with the file's rows. MOE_E_CORRUPT, MOE_E_IO, MOE_E_MEMORY. */
moe_status moe_lint_database(moe_lint *lint, const char *path);

#endif
