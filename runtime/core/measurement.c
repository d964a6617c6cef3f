/* measurement.c - what came of running a candidate. */
#include "core/measurement.h"

#include <math.h>

const char *const moe_outcome_names[] = {
    [MOE_OUTCOME_OK] = "ok",
    [MOE_OUTCOME_COMPILE_FAILED] = "compile_failed",
    [MOE_OUTCOME_OVER_LIMIT] = "over_limit",
    [MOE_OUTCOME_WRONG] = "wrong",
    [MOE_OUTCOME_FAULTED] = "faulted",
    [MOE_OUTCOME_TIMEOUT] = "timeout",
    [MOE_OUTCOME_COUNT] = NULL,
};

const char *const moe_timer_names[] = {
    [MOE_TIMER_NONE] = "none",     [MOE_TIMER_CUPTI] = "cupti", [MOE_TIMER_EVENTS] = "events",
    [MOE_TIMER_MODEL] = "model",   [MOE_TIMER_COUNT] = NULL,
};

#define AT(member) offsetof(moe_measurement, member)
static const moe_field fields[] = {
    {"n", AT(n), &moe_field_integer, "0", NULL, 0, INT32_MAX, false},
    {"med", AT(med), &moe_field_real, "0", NULL, 0, 0, false},
    {"mad", AT(mad), &moe_field_real, "0", NULL, 0, 0, false},
    {"err", AT(err), &moe_field_real, "0", NULL, 0, 0, false},
    {"timer", AT(timer), &moe_field_enum, "none", moe_timer_names, 0, 0, false},
    {NULL, 0, NULL, NULL, NULL, 0, 0, false},
};
#undef AT

/* Standard error of a median of n normal samples: sigma = 1.4826 MAD, times 1.2533 / sqrt(n). */
static double squared_error(const moe_measurement *m) {
    double error = 1.4826 * 1.2533 * m->mad;
    return m->n > 0 ? error * error / (double)m->n : 0;
}

double moe_noise(const moe_measurement *a, const moe_measurement *b) {
    double share = 0.01 * fmin(a->med, b->med);
    return fmax(share, 3 * sqrt(squared_error(a) + squared_error(b)));
}

moe_status moe_measurement_parse(const char *text, moe_measurement *out) {
    char word[32];
    const moe_field names = {.names = moe_outcome_names};
    int outcome;
    moe_measurement result;
    if (!moe_next_word(&text, word, sizeof word))
        return moe_fail(MOE_E_PARSE, "measurement: empty text");
    moe_status status = moe_field_enum.parse(&names, word, &outcome);
    if (status) return moe_fail_context(status, "measurement");
    MOE_TRY(moe_fields_parse(fields, "measurement", text, &result));
    result.outcome = (moe_outcome)outcome;
    *out = result;
    return MOE_OK;
}

void moe_measurement_print(const moe_measurement *measurement, char *text, size_t size) {
    moe_text out = moe_text_start(text, size);
    moe_text_add(&out, "%s ", moe_outcome_names[measurement->outcome]);
    moe_fields_print(fields, UINT64_MAX, measurement, &out);
}
