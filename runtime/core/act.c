/* act.c - activations: the table, and the text form of a row and its numbers. */
#include "core/act.h"

#include <stdio.h>
#include <string.h>

const moe_act_info moe_act_table[] = {
#define ACT(symbol, name, ...) [MOE_ACT_##symbol] = {__VA_ARGS__},
#include "core/act.def"
#undef ACT
};

const char *const moe_act_names[] = {
#define ACT(symbol, name, ...) [MOE_ACT_##symbol] = name,
#include "core/act.def"
#undef ACT
    [MOE_ACT_COUNT] = NULL,
};

static bool has_numbers(int kind) { return moe_act_table[kind].limit > 0; }

static void add_numbers(double limit, double alpha, moe_text *out) {
    moe_text_add(out, "(");
    moe_text_add_real(out, limit);
    moe_text_add(out, ",");
    moe_text_add_real(out, alpha);
    moe_text_add(out, ")");
}

static moe_status parse_numbers(const char *text, moe_act *act) {
    const moe_act_info *info = &moe_act_table[act->kind];
    const char *name = moe_act_names[act->kind], *inside = text + strlen(name);
    char end, form[32];
    if (sscanf(inside, "(%lf,%lf%c", &act->limit, &act->alpha, &end) == 3 && end == ')' &&
        act->limit > 0 && act->alpha > 0 && text[strlen(text) - 1] == ')')
        return MOE_OK;
    moe_text usual = moe_text_start(form, sizeof form);
    add_numbers(info->limit, info->alpha, &usual);
    return moe_fail(MOE_E_PARSE, "'%.64s' should read like %s%s", text, name, form);
}

static moe_status parse_act(const moe_field *field, const char *text, void *value) {
    (void)field;
    const moe_field names = {.names = moe_act_names};
    moe_act *act = value;
    int kind = 0;
    *act = (moe_act){0};
    while (kind < MOE_ACT_COUNT &&
           (!has_numbers(kind) || strncmp(text, moe_act_names[kind], strlen(moe_act_names[kind]))))
        kind++;
    if (kind == MOE_ACT_COUNT) MOE_TRY(moe_field_enum.parse(&names, text, &kind));
    act->kind = (moe_act_kind)kind;
    return has_numbers(kind) ? parse_numbers(text, act) : MOE_OK;
}

static void print_act(const moe_field *field, const void *value, moe_text *out) {
    (void)field;
    const moe_act *act = value;
    moe_text_add(out, "%s", moe_act_names[act->kind]);
    if (has_numbers((int)act->kind)) add_numbers(act->limit, act->alpha, out);
}

const moe_field_type moe_field_act = {parse_act, print_act, false};

void moe_act_add_plain(moe_text *out) {
    const char *comma = "";
    for (int kind = 0; kind < MOE_ACT_COUNT; kind++) {
        if (moe_act_table[kind].gated) continue;
        moe_text_add(out, "%s%s", comma, moe_act_names[kind]);
        comma = ", ";
    }
}
