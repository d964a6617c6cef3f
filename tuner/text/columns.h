/* columns.h - rows of text in columns, printed once all widths are known. */
#ifndef MOE_COLUMNS_H
#define MOE_COLUMNS_H

#include "core/status.h"

#include <stdio.h>

typedef struct moe_columns moe_columns;

/* `head` names the columns, with tabs between them; a name that starts with '>' is of a column that
 * is aligned to the right. NULL without memory: the other functions then do nothing. */
moe_columns *moe_columns_new(const char *head);

/* Adds a row: cells with tabs between them. */
void moe_columns_add(moe_columns *table, const char *format, ...) MOE_PRINTF(2, 3);

/* Prints and frees it. */
void moe_columns_print(moe_columns *table, FILE *to);

#endif
