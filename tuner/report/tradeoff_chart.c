/* tradeoff_chart.c - what each capacity factor costs and drops, as an SVG chart. */
#include "report/tradeoff.h"

#include <errno.h>
#include <string.h>

/* Pixels. */
enum { BAR = 11, ROW = 4 * BAR + 12, LABEL = 210, TIME = 330, SHARE = 270, MARGIN = 16, HEAD = 64 };

/* What stands right of the times, in this order. */
static const struct {
    const char *name, *colour;
    size_t offset;
} shares[] = {
    {"dropped rows", "#c8553d", offsetof(moe_tradeoff, waste.dropped)},
    {"dropped weight", "#f2a541", offsetof(moe_tradeoff, waste.weight)},
    {"padding", "#8a8d91", offsetof(moe_tradeoff, waste.padding)},
};

enum { SHARES = sizeof shares / sizeof *shares };

static const char time_colour[] = "#0b6e4f";

static double share_of(const moe_tradeoff *row, int i) {
    return *(const double *)((const char *)row + shares[i].offset);
}

static void write_escaped(const char *text, FILE *to) {
    for (; *text; text++) {
        if (*text == '<') fputs("&lt;", to);
        else if (*text == '&') fputs("&amp;", to);
        else fputc(*text, to);
    }
}

static void write_bar(double x, double y, double width, double height, const char *colour,
                      const char *label, FILE *to) {
    fprintf(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y,
            width, height, colour);
    fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"9\">%s</text>\n", x + width + 4,
            y + height - 2, label);
}

static void write_row(const moe_tradeoff *row, double y, double longest, FILE *to) {
    char label[64];
    fprintf(to, "<text x=\"%d\" y=\"%.1f\">", MARGIN, y + 2 * BAR);
    write_escaped(row->traffic, to);
    fprintf(to, "</text>\n<text x=\"%d\" y=\"%.1f\">T=%lld  capacity ", MARGIN, y + 3 * BAR + 3,
            (long long)row->tokens);
    write_escaped(row->capacity, to);
    fputs("</text>\n", to);
    snprintf(label, sizeof label, "%.1f us", row->ns * 1e-3);
    write_bar(LABEL, y + BAR / 2., longest > 0 ? (TIME - 70) * row->ns / longest : 0, 2.5 * BAR,
              time_colour, row->ns > 0 ? label : "not timed", to);
    for (int i = 0; i < SHARES; i++) {
        snprintf(label, sizeof label, "%.1f%%", 100 * share_of(row, i));
        write_bar(LABEL + TIME, y + i * (BAR + 2), (SHARE - 50) * share_of(row, i), BAR,
                  shares[i].colour, label, to);
    }
}

static void write_legend(const char *time_head, FILE *to) {
    fprintf(to, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s behind the router</text>\n", LABEL,
            HEAD - 10, time_colour, time_head);
    for (int i = 0; i < SHARES; i++)
        fprintf(to, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", LABEL + TIME + 95 * i,
                HEAD - 10, shares[i].colour, shares[i].name);
}

static void write_chart(const moe_tradeoff *rows, int64_t n, const char *title,
                        const char *time_head, FILE *to) {
    double longest = 0;
    for (int64_t i = 0; i < n; i++) longest = rows[i].ns > longest ? rows[i].ns : longest;
    int width = LABEL + TIME + SHARE + MARGIN, height = HEAD + (int)n * ROW + MARGIN;
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "font-family=\"sans-serif\" font-size=\"11\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"%d\" y=\"24\" font-size=\"14\">",
            width, height, MARGIN);
    write_escaped(title, to);
    fputs("</text>\n", to);
    write_legend(time_head, to);
    for (int64_t i = 0; i < n; i++) write_row(&rows[i], HEAD + (double)i * ROW, longest, to);
    fputs("</svg>\n", to);
}

moe_status moe_tradeoff_chart(const moe_tradeoff *rows, int64_t n, const char *title,
                              const char *time_head, const char *path) {
    FILE *file = fopen(path, "w");
    if (!file)
        return moe_fail(MOE_E_IO, "%s: %s; give another --chart FILE", path, strerror(errno));
    write_chart(rows, n, title, time_head, file);
    bool bad = ferror(file) != 0;
    bad |= fclose(file) != 0;
    return bad ? moe_fail(MOE_E_IO, "%s: could not be written whole; is the disk full?", path)
               : MOE_OK;
}
