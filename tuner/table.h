/* table.h - rows of text in columns, printed once all widths are known. */
#ifndef MOE_TABLE_H
#define MOE_TABLE_H

#include "status.h"

#include <stdio.h>

typedef struct moe_table moe_table;

/* `head` names the columns, with tabs between them; a name that starts with '>' is of a column that
 * is aligned to the right. NULL without memory: the other functions then do nothing. */
moe_table *moe_table_new(const char *head);

/* Adds a row: cells with tabs between them. */
void moe_table_add(moe_table *table, const char *format, ...) MOE_PRINTF(2, 3);

/* Prints and frees it. */
void moe_table_print(moe_table *table, FILE *to);

#endif
