/* columns.c - rows of text in columns. */
#include "text/columns.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 16, ROW_SIZE = 2048 };

struct moe_columns {
    char **row; /* the head first */
    size_t rows, room;
};

static void add(moe_columns *table, const char *text) {
    if (table->rows == table->room) {
        size_t room = 2 * table->room + 16;
        char **row = realloc(table->row, room * sizeof *row);
        if (!row) return;
        table->row = row;
        table->room = room;
    }
    table->row[table->rows] = strdup(text);
    if (table->row[table->rows]) table->rows++;
}

moe_columns *moe_columns_new(const char *head) {
    moe_columns *table = calloc(1, sizeof *table);
    if (table) add(table, head);
    return table;
}

void moe_columns_add(moe_columns *table, const char *format, ...) {
    char text[ROW_SIZE];
    va_list args;
    if (!table) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add(table, text);
}

/* Characters that a cell takes on the screen: bytes that continue a UTF-8 character take none. */
static int width_of(const char *text, size_t bytes) {
    int width = 0;
    for (size_t i = 0; i < bytes; i++) width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

/* The next cell of a row; false behind the last. */
static bool next_cell(const char **row, const char **cell, size_t *bytes) {
    if (!*row) return false;
    *cell = *row;
    *bytes = strcspn(*row, "\t");
    *row = (*row)[*bytes] ? *row + *bytes + 1 : NULL;
    return true;
}

static void print_row(const char *row, bool head, const int *width, const bool *right, FILE *to) {
    const char *cell;
    size_t bytes;
    for (int c = 0; c < MAX_COLUMNS && next_cell(&row, &cell, &bytes); c++) {
        if (head && right[c]) cell++, bytes--;
        int space = width[c] - width_of(cell, bytes);
        fprintf(to, "%s%*s%.*s", c ? "  " : "", right[c] ? space : 0, "", (int)bytes, cell);
        if (!right[c] && row) fprintf(to, "%*s", space, "");
    }
    fputc('\n', to);
}

void moe_columns_print(moe_columns *table, FILE *to) {
    int width[MAX_COLUMNS] = {0};
    bool right[MAX_COLUMNS] = {false};
    if (!table) return;
    for (size_t r = 0; r < table->rows; r++) {
        const char *row = table->row[r], *cell;
        size_t bytes;
        for (int c = 0; c < MAX_COLUMNS && next_cell(&row, &cell, &bytes); c++) {
            if (!r) right[c] = *cell == '>';
            int its = width_of(cell, bytes) - (!r && right[c]);
            if (its > width[c]) width[c] = its;
        }
    }
    for (size_t r = 0; r < table->rows; r++) {
        print_row(table->row[r], r == 0, width, right, to);
        free(table->row[r]);
    }
    free(table->row);
    free(table);
}
