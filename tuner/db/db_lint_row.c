/* db_lint_row.c - what is wrong with a stored record, wherever it is stored. */
#include "db/db_lint_row.h"

#include "core/pipeline.h"
#include "db/records_text.h"
#include "measure/meter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void say(moe_lint *lint, const moe_lint_place *at, const char *kind, const char *format,
                va_list args) {
    fprintf(lint->to, "%s: %s", at->text, kind);
    vfprintf(lint->to, format, args);
    fputc('\n', lint->to);
}

void moe_lint_say(moe_lint *lint, const moe_lint_place *at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(lint, at, "", format, args);
    va_end(args);
    lint->findings++;
}

void moe_lint_warn(moe_lint *lint, const moe_lint_place *at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(lint, at, "warning: ", format, args);
    va_end(args);
    lint->warnings++;
}

/* ----------------------------------------------------------------------------------- evidence */

static bool is_amount(double value) { return isfinite(value) && value >= 0; }

static bool no_numbers(const moe_facts *facts, const moe_measurement *m) {
    (void)facts;
    return m->n < 0 || !is_amount(m->med) || !is_amount(m->mad) || !is_amount(m->err);
}

static bool failed_but_timed(const moe_facts *facts, const moe_measurement *m) {
    (void)facts;
    return m->outcome != MOE_OUTCOME_OK && (m->n || m->med != 0 || m->mad != 0);
}

static bool ok_without_time(const moe_facts *facts, const moe_measurement *m) {
    (void)facts;
    return m->outcome == MOE_OUTCOME_OK && m->n > 0 && !(m->med > 0);
}

static bool time_without_samples(const moe_facts *facts, const moe_measurement *m) {
    (void)facts;
    return m->outcome == MOE_OUTCOME_OK && m->n == 0 && (m->med != 0 || m->mad != 0);
}

static bool spread_of_one(const moe_facts *facts, const moe_measurement *m) {
    (void)facts;
    return m->n == 1 && m->mad != 0;
}

static bool samples_by_nobody(const moe_facts *facts, const moe_measurement *m) {
    (void)facts;
    return m->n > 0 && m->timer == MOE_TIMER_NONE;
}

static bool modelled_as_real(const moe_facts *facts, const moe_measurement *m) {
    return !facts->simulated && !moe_records_honest(facts, m);
}

static bool real_as_modelled(const moe_facts *facts, const moe_measurement *m) {
    return facts->simulated && !moe_records_honest(facts, m);
}

static const struct {
    bool (*broken)(const moe_facts *facts, const moe_measurement *m);
    const char *what;
} rules[] = {
    {no_numbers, "n, med, mad and err should be finite and not negative"},
    {failed_but_timed, "a candidate that failed has no samples, so n, med and mad should be 0"},
    {ok_without_time, "it is ok and has samples, so med should be more than 0"},
    {time_without_samples, "n=0 means never timed, so med and mad should be 0"},
    {spread_of_one, "one sample has no spread, so mad should be 0"},
    {samples_by_nobody, "it has samples, so timer should not be none"},
    {modelled_as_real, "timer=model on a real device: a modelled time is not a measurement"},
    {real_as_modelled, "a simulated device has modelled times only: timer should be model"},
};

/* The date's form: each 0 stands for a digit. */
static bool is_date(const char *text) {
    static const char form[] = "0000-00-00T00:00:00Z";
    for (size_t i = 0; i < sizeof form; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == '0' ? !digit : text[i] != form[i]) return false;
    }
    return true;
}

static void lint_provenance(moe_lint *lint, const moe_lint_place *at, const moe_provenance *p) {
    const struct {
        const char *name, *value;
    } words[] = {{"driver", p->driver}, {"toolkit", p->toolkit}, {"commit", p->commit}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!*words[i].value) moe_lint_say(lint, at, "its provenance lacks %s=", words[i].name);
    if (!is_date(p->date))
        moe_lint_say(lint, at, "date=%s should read like 2026-01-31T12:00:00Z",
                     *p->date ? p->date : "-");
}

void moe_lint_evidence(moe_lint *lint, const moe_lint_place *at, const moe_facts *facts,
                       const moe_measurement *m, const moe_provenance *p) {
    lint->rows++;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].broken(facts, m)) moe_lint_say(lint, at, "%s", rules[i].what);
    lint_provenance(lint, at, p);
}

/* ------------------------------------------------------------------------------------ samples */

/* Numbers separated by spaces; false where there is something else, or too many. */
static bool read_samples(const char *text, moe_samples *out) {
    char word[32];
    out->n = 0;
    while (moe_next_word(&text, word, sizeof word))
        if (out->n == MOE_MAX_SAMPLES || moe_real_parse(word, &out->ns[out->n++])) return false;
    return true;
}

void moe_lint_samples(moe_lint *lint, const moe_lint_place *at, const moe_measurement *m,
                      const char *samples) {
    const double rounding = 0.11; /* samples are kept to tenths of a nanosecond */
    moe_samples kept;
    if (!*samples) return;
    if (!read_samples(samples, &kept)) {
        moe_lint_say(lint, at, "its samples are no list of numbers: '%.40s'", samples);
    } else if (kept.n != m->n) {
        moe_lint_say(lint, at, "n=%lld, but %lld samples are kept", (long long)m->n,
                     (long long)kept.n);
    } else if (fabs(moe_samples_median(&kept) - m->med) > rounding ||
               fabs(moe_samples_mad(&kept) - m->mad) > rounding) {
        moe_lint_say(lint, at, "med=%g mad=%g, but its samples have med=%g mad=%g", m->med, m->mad,
                     moe_samples_median(&kept), moe_samples_mad(&kept));
    }
}

/* ---------------------------------------------------------------------------------- templates */

moe_status moe_lint_template(moe_lint *lint, const moe_lint_place *at, const char *id) {
    char name[MOE_TEMPLATE_ID_SIZE];
    if (moe_gen_find(lint->gen, id)) return MOE_OK;
    for (int64_t i = 0; i < lint->stale.count; i++)
        if (!strcmp(lint->stale.line[i], id)) return MOE_OK;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(id, "@"), id);
    const moe_template *now = moe_gen_find(lint->gen, name);
    if (now)
        moe_lint_warn(lint, at, "%s has changed since (now %s): db build has no code for its rows; "
                      "tune again", id, moe_template_id(now));
    else
        moe_lint_warn(lint, at, "there is no template %s; give its folder with --templates", id);
    return moe_lines_add(&lint->stale, id);
}

moe_status moe_lint_steps(moe_lint *lint, const moe_lint_place *at, const moe_choice *choice) {
    moe_op_kind kinds[MOE_PIPELINE_STEPS];
    for (int64_t i = 0; i < choice->steps; i++) {
        kinds[i] = choice->step[i].kind;
        MOE_TRY(moe_lint_template(lint, at, choice->step[i].template_id));
    }
    if (!moe_pipeline_find(kinds, choice->steps))
        moe_lint_say(lint, at, "its steps make no layer: they are no pipeline that moetune knows");
    return MOE_OK;
}

moe_record moe_lint_step(const moe_choice *choice, int64_t step) {
    const moe_step *its = &choice->step[step];
    moe_record record = {.config = its->config};
    record.op = moe_op_make(its->kind, &choice->layer, choice->t, choice->routing, choice->cache);
    snprintf(record.template_id, sizeof record.template_id, "%s", its->template_id);
    return record;
}
