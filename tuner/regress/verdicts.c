/* verdicts.c - a list of checks and how they came out. */
#include "regress/verdicts.h"

#include "core/list.h"
#include "text/columns.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

moe_status moe_verdicts_add(moe_verdicts *list, const moe_check_row *row) {
    MOE_TRY(moe_list_grow(&list->row, list->count, &list->room, sizeof *list->row));
    list->row[list->count++] = *row;
    list->failed += row->outcome != MOE_OUTCOME_OK;
    return MOE_OK;
}

void moe_verdicts_free(moe_verdicts *list) {
    free(list->row);
    *list = (moe_verdicts){0};
}

static void print_ratio(const moe_check_row *row, char *text, size_t size) {
    if (row->yardstick > 0)
        snprintf(text, size, "%.2f", row->rel_l2 / row->yardstick);
    else
        snprintf(text, size, "-");
}

void moe_verdicts_table(const moe_verdicts *list, FILE *to) {
    moe_columns *table =
        moe_columns_new("layer or op\t>t\tchecked\t>error\t>tolerance\t>vs plain\tresult");
    for (int64_t i = 0; i < list->count; i++) {
        const moe_check_row *row = &list->row[i];
        char ratio[32];
        print_ratio(row, ratio, sizeof ratio);
        moe_columns_add(table, "%s\t%lld\t%s\t%.2e\t%.2e\t%s\t%s", row->name, (long long)row->t,
                      row->what, row->error, row->tolerance, ratio,
                      moe_outcome_names[row->outcome]);
    }
    moe_columns_print(table, to);
    for (int64_t i = 0; i < list->count; i++)
        if (list->row[i].outcome != MOE_OUTCOME_OK)
            fprintf(to, "\n%s t=%lld, %s: %s\n    %s\n", list->row[i].name,
                    (long long)list->row[i].t, list->row[i].what,
                    moe_outcome_names[list->row[i].outcome], list->row[i].text);
    fprintf(to, "\n%lld checks, %lld failed\n", (long long)list->count, (long long)list->failed);
}

/* JSON has no infinity. */
static json_t *json_number(double value) {
    return isfinite(value) ? json_real(value) : json_string("inf");
}

void moe_verdicts_json(const moe_verdicts *list, const char *device, FILE *to) {
    json_t *rows = json_array();
    for (int64_t i = 0; i < list->count; i++) {
        const moe_check_row *row = &list->row[i];
        json_array_append_new(
            rows, json_pack("{s:s, s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:s}", "name", row->name,
                            "t", (json_int_t)row->t, "what", row->what, "outcome",
                            moe_outcome_names[row->outcome], "error", json_number(row->error),
                            "tolerance", json_number(row->tolerance), "rel_l2",
                            json_number(row->rel_l2), "plain_rel_l2", json_number(row->yardstick),
                            "text", row->text));
    }
    json_t *all = json_pack("{s:s, s:I, s:I, s:o}", "device", device, "checks",
                            (json_int_t)list->count, "failed", (json_int_t)list->failed, "rows",
                            rows);
    json_dumpf(all, to, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    fputc('\n', to);
    json_decref(all);
}

/* Text of an attribute: XML's five characters, and none of the control characters. */
static void put_escaped(const char *text, FILE *to) {
    static const struct {
        char c;
        const char *name;
    } names[] = {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&quot;"}, {'\'', "&apos;"}};
    for (; *text; text++) {
        const char *name = NULL;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (names[i].c == *text) name = names[i].name;
        if (name)
            fputs(name, to);
        else
            fputc((unsigned char)*text < ' ' ? ' ' : *text, to);
    }
}

static void put_case(const moe_check_row *row, FILE *to) {
    fputs("  <testcase classname=\"", to);
    put_escaped(row->name, to);
    fprintf(to, "\" name=\"t=%lld ", (long long)row->t);
    put_escaped(row->what, to);
    fprintf(to, "\" time=\"%.3f\"", row->seconds);
    if (row->outcome == MOE_OUTCOME_OK) {
        fputs("/>\n", to);
        return;
    }
    fprintf(to, ">\n    <failure type=\"%s\" message=\"", moe_outcome_names[row->outcome]);
    put_escaped(row->text, to);
    fputs("\"/>\n  </testcase>\n", to);
}

moe_status moe_verdicts_junit(const moe_verdicts *list, const char *device, const char *path) {
    FILE *file = fopen(path, "w");
    if (!file)
        return moe_fail(MOE_E_IO, "%s: %s; give another --junit FILE", path, strerror(errno));
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"moetune check ", file);
    put_escaped(device, file);
    fprintf(file, "\" tests=\"%lld\" failures=\"%lld\">\n", (long long)list->count,
            (long long)list->failed);
    for (int64_t i = 0; i < list->count; i++) put_case(&list->row[i], file);
    fputs("</testsuite>\n", file);
    bool bad = ferror(file);
    if (fclose(file) || bad)
        return moe_fail(MOE_E_IO, "%s: could not be written whole; is the disk full?", path);
    return MOE_OK;
}
