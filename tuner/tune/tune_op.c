/* tune_op.c - the search for the fastest kernels of one op.
 *
 * Candidates compile ahead in other processes while one runs on the device. On a GPU the best of
 * them then race. */
#include "judge/op_work.h"
#include "tune/op_search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A run of so many seconds of real time is done however little is left of the budget. */
static const double SOON = 2;

static bool was_interrupted(const moe_measurement *m) {
    return m->outcome == MOE_OUTCOME_TIMEOUT && m->n == 1;
}

/* A candidate that has a row of this compiler and driver is not measured again. */
static moe_status resume(op_search *s, int64_t index) {
    char image[MOE_HASH_SIZE];
    bool found;
    moe_finalist *f = &s->tried[index];
    moe_record record = moe_tuner_record(s->tuner, &s->result->op, &f->candidate);
    MOE_TRY(moe_storage_find(s->tuner->store, s->tuner->device_row, &record, image, &found));
    if (!found) return MOE_OK;
    bool valid = !strcmp(record.provenance.toolkit, s->tuner->provenance.toolkit) &&
                 !strcmp(record.provenance.driver, s->tuner->provenance.driver);
    if (moe_tuner_blames(s->tuner, op_search_name(s, index)))
        return op_search_fail(s, index, MOE_OUTCOME_TIMEOUT, 0,
                                "the tuner ended while this candidate ran in a race");
    if (was_interrupted(&record.measurement)) {
        s->strikes[index] = 1;
    } else if (valid) {
        f->record = record;
        op_search_count(s, index, true);
    }
    return MOE_OK;
}

/* Rows of an earlier run come first, whatever the search would ask for: they count towards its
 * limit, and it learns from them. */
static moe_status resume_all(op_search *s) {
    for (int64_t i = 0; i < s->all.count; i++) MOE_TRY(resume(s, i));
    return MOE_OK;
}

/* Tries at once, or sends to the compiler. */
static moe_status begin(op_search *s, int64_t index) {
    const moe_built *built;
    moe_source source;
    moe_status status = moe_render(s->tried[index].candidate.t, &s->result->op, s->tuner->facts,
                                   &s->tried[index].candidate.config, false, &source);
    if (status == MOE_E_TEMPLATE || status == MOE_E_INVALID) {
        char log[1024];
        snprintf(log, sizeof log, "%s", moe_error_text());
        return op_search_fail(s, index, MOE_OUTCOME_COMPILE_FAILED, 0, log);
    }
    MOE_TRY(status);
    status = moe_builder_find(s->tuner->builder, &source, &built);
    if (!status && !built) return moe_builder_start(s->tuner->builder, &source, index);
    moe_source_free(&source);
    return status ? status : op_search_try(s, index, built);
}

static void show(op_search *s) {
    moe_tuner *t = s->tuner;
    if (t->heart) t->heart->beats++;
    double now = moe_seconds(), tried = (double)(s->result->resumed + s->result->measured);
    double part = fmax(tried / fmax(1, fmin((double)s->limit, (double)s->all.count)),
                       (now - s->start) / fmax(1e-3, s->deadline - s->start));
    char best[32] = "none";
    if (isfinite(s->best)) snprintf(best, sizeof best, "%.2f us", s->best * 1e-3);
    moe_progress_show(&t->progress, t->share_from + fmin(1, part) * (t->share_to - t->share_from),
                      "%s t=%lld: %.0f of %lld candidates, best %s",
                      moe_op_names[s->result->op.kind], (long long)s->result->op.t, tried,
                      (long long)s->all.count, best);
}

static bool defaults_are_done(const op_search *s) {
    const moe_landscape *land = &s->all.landscape;
    for (int64_t i = 0; i < land->default_count; i++) {
        const moe_finalist *f = &s->tried[land->defaults[i]];
        if (f->record.measurement.outcome == MOE_OUTCOME_COUNT) return false;
    }
    return true;
}

/* Time is up where another run like the default's would end too late. The defaults run always. */
static bool time_is_up(const op_search *s) {
    if (moe_tuner_stopped(s->tuner) || s->tuner->lost) return true;
    return moe_seconds() + 1.5 * s->run_seconds >= s->deadline && defaults_are_done(s);
}

static moe_status search_all(op_search *s) {
    moe_compile_pool *pool = s->tuner->pool;
    bool more;
    for (;;) {
        int64_t index;
        const moe_built *built;
        more = true; /* again, as a candidate that was put back leaves its place to another */
        while (more && !time_is_up(s) && moe_compile_pool_idle(pool)) {
            more = moe_search_next(s->search, &index);
            if (more) MOE_TRY(begin(s, index));
            show(s);
        }
        if (time_is_up(s)) break;
        if (!moe_compile_pool_busy(pool)) break;
        MOE_TRY(moe_builder_finish(s->tuner->builder, &index, &built));
        MOE_TRY(op_search_try(s, index, built));
        show(s);
    }
    s->result->complete = !more && !moe_compile_pool_busy(pool);
    return moe_builder_drain(s->tuner->builder);
}

/* ------------------------------------------------------------------------------------------ op */

static moe_status open_search(op_search *s) {
    moe_tuner *t = s->tuner;
    MOE_TRY(moe_candidates_init(&s->all, t->gen, &s->result->op, t->facts, t->only));
    snprintf(s->result->note, sizeof s->result->note, "%s", s->all.skipped);
    s->tried = calloc((size_t)s->all.count, sizeof *s->tried);
    s->strikes = calloc((size_t)s->all.count, 1);
    s->revised = calloc((size_t)s->all.count, sizeof *s->revised);
    if (!s->tried || !s->strikes || !s->revised)
        return moe_fail(MOE_E_MEMORY, "no memory for candidates");
    for (int64_t i = 0; i < s->all.count; i++) {
        s->tried[i].candidate = s->all.item[i];
        s->tried[i].record.measurement.outcome = MOE_OUTCOME_COUNT;
    }
    s->result->space = s->all.count;
    const moe_strategy *strategy =
        t->strategy ? t->strategy : moe_strategy_default(s->all.count, s->limit);
    return moe_search_open(strategy, &s->all.landscape, s->limit, t->seed, &s->search);
}

/* One template's candidates, which stand together from `first` on. Returns where they end. */
static moe_status rank_template(op_search *s, const double *known, int64_t first, int64_t *end) {
    const moe_template *t = s->all.item[first].t;
    for (*end = first + 1; *end < s->all.count && s->all.item[*end].t == t;) ++*end;
    if (s->result->templates == MOE_OP_TEMPLATES) return MOE_OK;
    moe_template_ranking *r = &s->result->by_template[s->result->templates++];
    r->space = *end - first;
    snprintf(r->id, sizeof r->id, "%s", moe_template_id(t));
    return moe_ranking_of(moe_search_ranks(s->search) + first, known + first, r->space,
                          &r->ranking);
}

/* The templates' predictions next to what came of the candidates. */
static moe_status rank(op_search *s) {
    double *known = malloc((size_t)(s->all.count + 1) * sizeof *known);
    if (!known) return moe_fail(MOE_E_MEMORY, "no memory for candidates");
    for (int64_t i = 0; i < s->all.count; i++) {
        const moe_measurement *m = &s->tried[i].record.measurement;
        known[i] = m->outcome == MOE_OUTCOME_OK ? m->med : INFINITY;
    }
    moe_status status =
        moe_ranking_of(moe_search_ranks(s->search), known, s->all.count, &s->result->ranking);
    for (int64_t i = 0; i < s->all.count && !status;) status = rank_template(s, known, i, &i);
    free(known);
    return status;
}

static moe_status run(op_search *s) {
    double seconds = moe_tuner_seconds(s->tuner, moe_op_work(&s->result->op).flops);
    s->run_seconds = seconds;
    MOE_TRY(open_search(s));
    MOE_TRY(resume_all(s));
    if (seconds > fmax(SOON, 2 * (s->deadline - s->start))) {
        snprintf(s->result->note, sizeof s->result->note,
                 "one run on %s would take about %.0f s; give fewer tokens, a larger --budget or "
                 "a GPU", s->tuner->device->name, seconds);
        return MOE_OK;
    }
    MOE_TRY(search_all(s));
    MOE_TRY(op_search_race(s));
    s->result->standard = s->tried[s->all.landscape.defaults[0]];
    op_search_finalists(s);
    return rank(s);
}

moe_status moe_tune_op(moe_tuner *tuner, const moe_op *op, int64_t limit, double deadline,
                       moe_op_result *out) {
    *out = (moe_op_result){.op = *op};
    out->standard.record.measurement.outcome = MOE_OUTCOME_COUNT;
    op_search s = {.tuner = tuner, .result = out, .best = INFINITY, .limit = limit,
                   .deadline = deadline, .start = moe_seconds()};
    moe_status status = run(&s);
    moe_op_case_close(s.c);
    moe_search_close(s.search);
    moe_candidates_free(&s.all);
    free(s.tried);
    free(s.strikes);
    free(s.revised);
    return status;
}
