/* capacity.c - how many rows an expert keeps: text form, and the formulas.
 *
 * The text is a factor, then options behind commas: the formula, and the least there is. */
#include "core/capacity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
#define RULE(symbol, name, formula, rows) [MOE_CAPACITY_##symbol] = name,
#include "core/capacity.def"
#undef RULE
};

const char *const moe_capacity_formulas[] = {
#define RULE(symbol, name, formula, rows) [MOE_CAPACITY_##symbol] = formula,
#include "core/capacity.def"
#undef RULE
};

enum { WORD_SIZE = 32 };

static moe_status no_such_option(const char *word) {
    char known[WORD_SIZE * MOE_CAPACITY_COUNT];
    moe_text list = moe_text_start(known, sizeof known);
    for (int i = MOE_CAPACITY_SHARE + 1; i < MOE_CAPACITY_COUNT; i++)
        moe_text_add(&list, "%s, ", names[i]);
    return moe_fail(MOE_E_PARSE, "'%.32s' is no formula of a capacity; use one of: %sor min(4) for "
                                 "the least",
                    word, known);
}

static moe_status parse_option(const char *word, moe_capacity *out) {
    long long least;
    char end, more;
    if (sscanf(word, "min(%9lld%c%c", &least, &end, &more) == 2 && end == ')' && least > 0) {
        out->least = least;
        return MOE_OK;
    }
    for (int i = 0; i < MOE_CAPACITY_COUNT; i++) {
        if (strcmp(word, names[i])) continue;
        out->rule = (moe_capacity_rule)i;
        return MOE_OK;
    }
    return no_such_option(word);
}

static moe_status parse_factor(const char *word, double *out) {
    MOE_TRY(moe_real_parse(word, out));
    return *out > 0 && *out <= 1e6
               ? MOE_OK
               : moe_fail(MOE_E_INVALID, "'%.32s' should be 'none' or a factor above 0", word);
}

static moe_status parse_capacity(const moe_field *field, const char *text, void *value) {
    (void)field;
    moe_capacity capacity = {0};
    char word[WORD_SIZE];
    for (int i = 0; i == 0 || *text; i++) {
        size_t length = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)length, text);
        text += length + (text[length] == ',');
        if (i > 0)
            MOE_TRY(parse_option(word, &capacity));
        else if (!strcmp(word, "none") && !*text)
            break;
        else
            MOE_TRY(parse_factor(word, &capacity.factor));
    }
    *(moe_capacity *)value = capacity;
    return MOE_OK;
}

static void print_capacity(const moe_field *field, const void *value, moe_text *out) {
    (void)field;
    const moe_capacity *capacity = value;
    if (capacity->factor == 0) {
        moe_text_add(out, "none");
        return;
    }
    moe_text_add_real(out, capacity->factor);
    if (capacity->rule) moe_text_add(out, ",%s", names[capacity->rule]);
    if (capacity->least) moe_text_add(out, ",min(%lld)", (long long)capacity->least);
}

const moe_field_type moe_field_capacity = {parse_capacity, print_capacity, false};

int64_t moe_layer_capacity(const moe_layer *layer, int64_t tokens) {
    const moe_capacity *capacity = &layer->capacity;
    const double t = (double)tokens, cf = capacity->factor;
    const double e = (double)layer->e, k = (double)layer->k, each = ceil(t / e);
    const double all[MOE_CAPACITY_COUNT] = {
#define RULE(symbol, name, formula, rows) [MOE_CAPACITY_##symbol] = rows,
#include "core/capacity.def"
#undef RULE
    };
    const double most = t * k, mine = fmax(all[capacity->rule], (double)capacity->least);
    return (int64_t)(cf > 0 && mine < most ? mine : most);
}
