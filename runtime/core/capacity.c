/* capacity.c - how many rows an expert keeps: text form, and the formulas.
 *
 * The text is a factor, then options behind commas: the formula, and the least there is. */
#include "core/capacity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const moe_capacity_names[] = {
    [MOE_CAPACITY_SHARE] = "share", [MOE_CAPACITY_SWITCH] = "switch",
    [MOE_CAPACITY_GSHARD] = "gshard", [MOE_CAPACITY_TUTEL] = "tutel",
    [MOE_CAPACITY_NLLB] = "nllb",   [MOE_CAPACITY_TOKENS] = "tokens",
    [MOE_CAPACITY_COUNT] = NULL,
};

enum { WORD_SIZE = 32 };

static moe_status parse_option(const char *word, moe_capacity *out) {
    long long least;
    char end, more;
    if (sscanf(word, "min(%9lld%c%c", &least, &end, &more) == 2 && end == ')' && least > 0) {
        out->least = least;
        return MOE_OK;
    }
    for (int i = 0; i < MOE_CAPACITY_COUNT; i++) {
        if (strcmp(word, moe_capacity_names[i])) continue;
        out->rule = (moe_capacity_rule)i;
        return MOE_OK;
    }
    return moe_fail(MOE_E_PARSE, "'%.32s' is no formula of a capacity; use one of: switch, gshard, "
                                 "tutel, nllb, tokens, or min(4) for the least",
                    word);
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
    if (capacity->rule) moe_text_add(out, ",%s", moe_capacity_names[capacity->rule]);
    if (capacity->least) moe_text_add(out, ",min(%lld)", (long long)capacity->least);
}

const moe_field_type moe_field_capacity = {parse_capacity, print_capacity, false};

int64_t moe_layer_capacity(const moe_layer *layer, int64_t tokens) {
    const moe_capacity *capacity = &layer->capacity;
    const double t = (double)tokens, cf = capacity->factor;
    const double e = (double)layer->e, k = (double)layer->k, each = ceil(t / e);
    const double rows[MOE_CAPACITY_COUNT] = {
        [MOE_CAPACITY_SHARE] = ceil(t * k * cf / e), [MOE_CAPACITY_SWITCH] = rint(t * cf / e),
        [MOE_CAPACITY_GSHARD] = floor(t * cf / e),   [MOE_CAPACITY_TUTEL] = k * floor(cf * each),
        [MOE_CAPACITY_NLLB] = ceil(cf * each),       [MOE_CAPACITY_TOKENS] = ceil(cf * t),
    };
    const double most = t * k, mine = fmax(rows[capacity->rule], (double)capacity->least);
    return (int64_t)(cf > 0 && mine < most ? mine : most);
}
