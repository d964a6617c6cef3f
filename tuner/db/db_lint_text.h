/* db_lint_text.h - what is wrong with a file of records. */
#ifndef MOE_DB_LINT_TEXT_H
#define MOE_DB_LINT_TEXT_H

#include "db/db_lint_row.h"

/* Says what is wrong with the file's rows. MOE_E_CORRUPT, MOE_E_IO, MOE_E_MEMORY. */
moe_status moe_lint_text(moe_lint *lint, const char *path);

#endif
