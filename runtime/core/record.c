/* record.c - the text of records and choices. */
#include "core/record.h"

#include <stdio.h>
#include <string.h>

enum { MAX_COLUMNS = 5 };

#define AT(member) offsetof(moe_provenance, member)
static const moe_field provenance_fields[] = {
    {"default", AT(is_default), &moe_field_integer, "0", NULL, 0, 1, false},
    {"driver", AT(driver), &moe_field_string, "-", NULL, 0, 32, false},
    {"toolkit", AT(toolkit), &moe_field_string, "-", NULL, 0, 32, false},
    {"commit", AT(commit), &moe_field_string, "-", NULL, 0, 48, false},
    {"date", AT(date), &moe_field_string, "-", NULL, 0, 24, false},
    {"clock", AT(clock), &moe_field_integer, "0", NULL, 0, 1 << 20, false},
    {NULL, 0, NULL, NULL, NULL, 0, 0, false},
};
#undef AT

#define AT(member) offsetof(moe_choice, member)
static const moe_field workload_fields[] = {
    {"t", AT(t), &moe_field_integer, NULL, NULL, 0, INT32_MAX, false},
    {"routing", AT(routing), &moe_field_enum, NULL, moe_routing_names, 0, 0, false},
    {"cache", AT(cache), &moe_field_enum, NULL, moe_cache_names, 0, 0, false},
    {NULL, 0, NULL, NULL, NULL, 0, 0, false},
};
#undef AT

/* Splits `line` in place at each `mark`; returns the number of parts, or -1 if there are more than
 * `room`. */
static int split(char *line, const char *mark, char **part, int room) {
    int count = 0;
    while (line) {
        if (count == room) return -1;
        part[count++] = line;
        line = strstr(line, mark);
        if (!line) break;
        *line = '\0';
        line += strlen(mark);
    }
    return count;
}

/* Copies the line, so that it can be cut, and splits it into `columns` columns. */
static moe_status split_columns(const char *line, const char *what, char *copy, size_t size,
                                char **column, int columns) {
    size_t length = strcspn(line, "\n");
    if (length >= size)
        return moe_fail(MOE_E_PARSE, "%s: the line is longer than %zu characters", what, size - 1);
    memcpy(copy, line, length);
    copy[length] = '\0';
    int found = split(copy, " | ", column, columns);
    if (found != columns)
        return moe_fail(MOE_E_PARSE, "%s: '%.48s...' should have %d columns between ' | '", what,
                        line, columns);
    return MOE_OK;
}

static moe_status parse_template(const char *text, char *out) {
    const char *at = strchr(text, '@');
    if (!at || at == text || strlen(text) >= MOE_TEMPLATE_ID_SIZE || strpbrk(text, " ;|"))
        return moe_fail(MOE_E_PARSE, "'%.64s' should read like grouped_gemm@1f3c9a0b", text);
    strcpy(out, text);
    return MOE_OK;
}

static moe_status parse_evidence(const char *measurement, const char *provenance,
                                 moe_measurement *m, moe_provenance *p) {
    MOE_TRY(moe_measurement_parse(measurement, m));
    return moe_fields_parse(provenance_fields, "provenance", provenance, p);
}

static void print_evidence(const moe_measurement *m, const moe_provenance *p, moe_text *out) {
    char text[MOE_MEASUREMENT_TEXT_SIZE];
    moe_measurement_print(m, text, sizeof text);
    moe_text_add(out, " | %s | ", text);
    moe_fields_print(provenance_fields, UINT64_MAX, p, out);
}

moe_status moe_record_parse(const char *line, moe_record *out) {
    char copy[MOE_RECORD_TEXT_SIZE], *column[MAX_COLUMNS];
    moe_record record = {0};
    MOE_TRY(split_columns(line, "record", copy, sizeof copy, column, MAX_COLUMNS));
    MOE_TRY(moe_op_parse(column[0], &record.op));
    MOE_TRY(parse_template(column[1], record.template_id));
    MOE_TRY(moe_config_parse(column[2], &record.config));
    MOE_TRY(parse_evidence(column[3], column[4], &record.measurement, &record.provenance));
    *out = record;
    return MOE_OK;
}

void moe_record_print(const moe_record *record, char *line, size_t size) {
    char op[MOE_OP_TEXT_SIZE], config[MOE_CONFIG_TEXT_SIZE];
    moe_text out = moe_text_start(line, size);
    moe_op_print(&record->op, op, sizeof op);
    moe_config_print(&record->config, config, sizeof config);
    moe_text_add(&out, "%s | %s | %s", op, record->template_id, config);
    print_evidence(&record->measurement, &record->provenance, &out);
}

/* "layer t=64 routing=uniform cache=cold d=1024 ...": the workload's three words come first. */
static moe_status parse_workload(const char *text, moe_choice *choice) {
    char word[64], head[256];
    moe_text words = moe_text_start(head, sizeof head);
    moe_next_word(&text, word, sizeof word);
    if (strcmp(word, "layer") != 0)
        return moe_fail(MOE_E_PARSE, "choice: '%.32s' should be 'layer'", word);
    for (int i = 0; i < 3; i++) {
        moe_next_word(&text, word, sizeof word);
        moe_text_add(&words, "%s ", word);
    }
    MOE_TRY(moe_fields_parse(workload_fields, "choice", head, choice));
    return moe_layer_parse(text, &choice->layer);
}

static moe_status parse_step(const char *text, moe_step *step) {
    char id[MOE_TEMPLATE_ID_SIZE + 1];
    moe_next_word(&text, id, sizeof id);
    MOE_TRY(parse_template(id, step->template_id));
    return moe_config_parse(text, &step->config);
}

static moe_status parse_steps(const char *pipeline, char *steps, moe_choice *choice) {
    char word[32], *part[MOE_PIPELINE_STEPS];
    int parts = split(steps, "; ", part, MOE_PIPELINE_STEPS);
    while (moe_next_word(&pipeline, word, sizeof word)) {
        if (choice->steps >= parts) break;
        moe_step *step = &choice->step[choice->steps];
        MOE_TRY(moe_op_kind_parse(word, &step->kind));
        MOE_TRY(parse_step(part[choice->steps++], step));
    }
    if (*word || choice->steps != parts)
        return moe_fail(MOE_E_PARSE,
                        "choice: the pipeline and the list of templates differ in length");
    return MOE_OK;
}

moe_status moe_choice_parse(const char *line, moe_choice *out) {
    char copy[MOE_CHOICE_TEXT_SIZE], *column[MAX_COLUMNS];
    moe_choice choice = {0};
    MOE_TRY(split_columns(line, "choice", copy, sizeof copy, column, MAX_COLUMNS));
    MOE_TRY(parse_workload(column[0], &choice));
    MOE_TRY(parse_steps(column[1], column[2], &choice));
    MOE_TRY(parse_evidence(column[3], column[4], &choice.measurement, &choice.provenance));
    *out = choice;
    return MOE_OK;
}

void moe_choice_print(const moe_choice *choice, char *line, size_t size) {
    char layer[MOE_LAYER_TEXT_SIZE], config[MOE_CONFIG_TEXT_SIZE];
    moe_text out = moe_text_start(line, size);
    moe_layer_print(&choice->layer, layer, sizeof layer);
    moe_text_add(&out, "layer ");
    moe_fields_print(workload_fields, UINT64_MAX, choice, &out);
    moe_text_add(&out, " %s |", layer);
    for (int64_t i = 0; i < choice->steps; i++)
        moe_text_add(&out, " %s", moe_op_names[choice->step[i].kind]);
    for (int64_t i = 0; i < choice->steps; i++) {
        moe_config_print(&choice->step[i].config, config, sizeof config);
        moe_text_add(&out, "%s%s%s%s", i ? "; " : " | ", choice->step[i].template_id,
                     *config ? " " : "", config);
    }
    print_evidence(&choice->measurement, &choice->provenance, &out);
}
