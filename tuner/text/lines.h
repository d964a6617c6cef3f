/* lines.h - a growing list of owned texts. */
#ifndef MOE_LINES_H
#define MOE_LINES_H

#include "core/status.h"

typedef struct moe_lines {
    char **line; /* owned */
    int64_t count, room;
} moe_lines;

/* Adds a copy. MOE_E_MEMORY. */
moe_status moe_lines_add(moe_lines *lines, const char *text);
void moe_lines_free(moe_lines *lines);

/* Sorts as bytes. */
void moe_lines_sort(moe_lines *lines);

/* Adds every line of a file, without its end. MOE_E_NOT_FOUND, MOE_E_IO. */
moe_status moe_lines_read(moe_lines *lines, const char *path);

/* Writes the lines to a file, in place of what was there: all or nothing. MOE_E_IO. */
moe_status moe_lines_write(const moe_lines *lines, const char *path);

/* Adds the names in a folder, sorted, but for those that start with a dot. MOE_E_NOT_FOUND. */
moe_status moe_lines_list(moe_lines *lines, const char *folder);

#endif
