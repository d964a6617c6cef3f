/* tune_op.c - the search for the fastest kernels of one op.
 *
 * Candidates compile ahead in other processes while one runs on the device. Each is verified before
 * it is timed, and stored before the next is begun. On a GPU the best of them then run against each
 * other, half of them dropping out each time while the samples double. */
#include "judge/op_case.h"
#include "measure/outcome.h"
#include "measure/roofline.h"
#include "measure/winner.h"
#include "tune/tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCREEN_SAMPLES = 5,   /* of every candidate that is measured */
    FINAL_SAMPLES = 50,   /* of the last finalists, at least */
    FIRST_ROUND = 16,     /* candidates that run again after the search, */
    RIVALS = FIRST_ROUND + 1 /* and the default */
};

/* A run of so many seconds of real time is done however little is left of the budget. */
static const double SOON = 2;

/* Slower candidates than this, next to the best so far, are stored without their code. */
static const double KEEP_IMAGE = 1.25;

typedef struct op_search {
    moe_tuner *tuner;
    moe_op_result *result;
    moe_candidates all;
    moe_search *search;
    moe_op_case *c; /* opened when the first candidate has to run */
    moe_finalist *tried; /* [all.count]; outcome COUNT: not tried */
    unsigned char *strikes; /* [all.count] runs that ended the tuner */
    bool *revised;          /* [all.count] predicted anew from the compiled code */
    double best;         /* ns */
    double deadline, start, run_seconds; /* of the default, in real time */
    int64_t limit;       /* candidates to try */
} op_search;

/* -------------------------------------------------------------------------------- one candidate */

static void count_outcome(op_search *s, int64_t index, bool resumed) {
    const moe_measurement *m = &s->tried[index].record.measurement;
    bool ok = m->outcome == MOE_OUTCOME_OK;
    s->result->outcome[m->outcome]++;
    if (resumed)
        s->result->resumed++;
    else
        s->result->measured++;
    if (ok && m->med < s->best) s->best = m->med;
    moe_search_resume(s->search, index, ok ? m->med : INFINITY);
}

/* Stores what came of a candidate and tells the search. */
static moe_status conclude(op_search *s, int64_t index, const moe_measurement *m,
                           const moe_samples *samples, const char *log, const moe_built *built) {
    char text[MOE_SAMPLES_TEXT_SIZE] = "";
    moe_finalist *f = &s->tried[index];
    f->record = moe_tuner_record(s->tuner, &s->result->op, &f->candidate);
    f->record.measurement = *m;
    if (samples) moe_samples_print(samples, text, sizeof text);
    bool keep = m->outcome == MOE_OUTCOME_OK &&
                (f->candidate.is_default || m->med <= KEEP_IMAGE * s->best);
    const moe_evidence evidence = {.samples = text, .log = log,
                                   .compiled = keep ? &built->compiled : NULL,
                                   .source = keep ? built->source.text : NULL};
    MOE_TRY(moe_tuner_put(s->tuner, &f->record, &evidence));
    count_outcome(s, index, false);
    return MOE_OK;
}

static moe_status conclude_failure(op_search *s, int64_t index, moe_outcome outcome, double err,
                                   const char *log) {
    bool model = s->tuner->meter.timer == MOE_TIMER_MODEL; /* as every row of a simulated device */
    const moe_measurement m = {.outcome = outcome, .err = err,
                               .timer = model ? MOE_TIMER_MODEL : MOE_TIMER_NONE};
    return conclude(s, index, &m, NULL, log, NULL);
}

/* What a candidate is called while it runs. */
static uint64_t name_of(const op_search *s, int64_t index) {
    char op[MOE_OP_TEXT_SIZE], config[MOE_CONFIG_TEXT_SIZE];
    const moe_candidate *candidate = &s->tried[index].candidate;
    moe_op_print(&s->result->op, op, sizeof op);
    moe_config_print(&candidate->config, config, sizeof config);
    return moe_tuner_hash(moe_tuner_hash(moe_tuner_hash(1, op), moe_template_id(candidate->t)),
                          config);
}

static moe_status open_case(op_search *s) {
    if (s->c) return MOE_OK;
    char text[MOE_OP_TEXT_SIZE];
    moe_op_print(&s->result->op, text, sizeof text);
    return moe_op_case_open(s->tuner->device, &s->result->op,
                            moe_tuner_hash(s->tuner->seed, text), &s->c);
}

/* Of a candidate that never came to its verdict. */
static moe_status conclude_status(op_search *s, int64_t index, moe_outcome outcome) {
    char log[1024];
    snprintf(log, sizeof log, "%s", moe_error_text());
    moe_tuner_note_fault(s->tuner, outcome);
    return conclude_failure(s, index, outcome, 0, log);
}

static moe_status take_samples(op_search *s, moe_trial *trial, double model_ns,
                               moe_samples *samples) {
    const moe_timing timing = {.cache = s->result->op.cache};
    moe_rival rival = {.run = moe_trial_run, .context = trial};
    moe_status status = MOE_OK;
    if (s->tuner->meter.timer == MOE_TIMER_MODEL) {
        rival.samples.ns[rival.samples.n++] = model_ns; /* a model says the same each time */
    } else {
        status = moe_meter_race(&s->tuner->meter, &timing, &rival, 1, SCREEN_SAMPLES,
                                SCREEN_SAMPLES);
    }
    *samples = rival.samples;
    return status;
}

static moe_measurement summarise(const op_search *s, const moe_samples *samples, double err) {
    return (moe_measurement){.outcome = MOE_OUTCOME_OK, .n = samples->n,
                             .med = moe_samples_median(samples), .mad = moe_samples_mad(samples),
                             .err = err, .timer = s->tuner->meter.timer};
}

/* How fast a simulated device gets on decides how many candidates are admitted. */
static void learn_speed(op_search *s, int64_t index, double seconds) {
    double flops = moe_op_work(&s->result->op).flops;
    if (s->tried[index].candidate.is_default && seconds > s->run_seconds) s->run_seconds = seconds;
    if (s->tuner->facts->simulated && flops > 1e7 && seconds > 0.01)
        s->tuner->flop_rate = 0.7 * s->tuner->flop_rate + 0.3 * flops / seconds;
}

/* Verifies and measures. */
static moe_status run_trial(op_search *s, int64_t index, const moe_built *built) {
    moe_trial *trial = NULL;
    moe_verdict verdict = {0};
    moe_samples samples = {0};
    moe_outcome outcome;
    double ns = 0, start = moe_seconds();
    moe_status status = moe_trial_open(s->c, &built->compiled.image, &trial);
    if (moe_outcome_of_loading(status, &outcome)) return conclude_status(s, index, outcome);
    MOE_TRY(status);
    status = moe_trial_verify(trial, &verdict, &ns);
    if (!status) learn_speed(s, index, moe_seconds() - start);
    if (!status && verdict.ok) status = take_samples(s, trial, ns, &samples);
    bool ran = !moe_outcome_of(status, &outcome);
    if (!ran) status = conclude_status(s, index, outcome); /* closing may fail, and say so */
    moe_trial_close(trial);
    if (status || !ran) return status;
    if (!verdict.ok)
        return conclude_failure(s, index, MOE_OUTCOME_WRONG, verdict.error, verdict.text);
    const moe_measurement m = summarise(s, &samples, verdict.error);
    return conclude(s, index, &m, &samples, NULL, built);
}

/* A process that dies or hangs on a real GPU leaves this behind: a second time it counts. */
static moe_status mark_in_flight(op_search *s, int64_t index) {
    moe_finalist *f = &s->tried[index];
    if (s->tuner->facts->simulated) return MOE_OK;
    moe_record record = moe_tuner_record(s->tuner, &s->result->op, &f->candidate);
    record.measurement =
        (moe_measurement){.outcome = MOE_OUTCOME_TIMEOUT, .n = s->strikes[index] + 1};
    const moe_evidence evidence = {.log = "the tuner ended while this candidate ran"};
    return moe_tuner_put(s->tuner, &record, &evidence);
}

/* The registers that the compiler took may let fewer blocks share an SM than the template assumed.
 * `*go`: the candidate is still worth its run. */
static moe_status revise(op_search *s, int64_t index, const moe_launch *built, bool *go) {
    const moe_candidate *candidate = &s->tried[index].candidate;
    moe_cost cost;
    *go = true;
    if (s->revised[index]) return MOE_OK;
    s->revised[index] = true;
    moe_status status = moe_template_cost(candidate->t, &s->result->op, s->tuner->facts,
                                          &candidate->config, built, &cost);
    if (!status) *go = moe_search_revise(s->search, index, cost.ns);
    return status == MOE_E_MEMORY ? status : MOE_OK; /* one that throws keeps what it said before */
}

/* One candidate whose compile has ended. */
static moe_status try_candidate(op_search *s, int64_t index, const moe_built *built) {
    char reason[MOE_REASON_SIZE];
    bool go;
    const moe_compiled *compiled = &built->compiled;
    if (compiled->outcome != MOE_OUTCOME_OK)
        return conclude_failure(s, index, compiled->outcome, 0, compiled->reason);
    if (!moe_launch_fits(&compiled->image.launch, s->tuner->facts, reason, sizeof reason))
        return conclude_failure(s, index, MOE_OUTCOME_OVER_LIMIT, 0, reason);
    MOE_TRY(revise(s, index, &compiled->image.launch, &go));
    if (!go) return MOE_OK;
    MOE_TRY(open_case(s));
    MOE_TRY(mark_in_flight(s, index));
    return run_trial(s, index, built);
}

/* ----------------------------------------------------------------------------------- the search */

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
    if (moe_tuner_blames(s->tuner, name_of(s, index)))
        return conclude_failure(s, index, MOE_OUTCOME_TIMEOUT, 0,
                                "the tuner ended while this candidate ran in a race");
    if (was_interrupted(&record.measurement)) {
        s->strikes[index] = 1;
    } else if (valid) {
        f->record = record;
        count_outcome(s, index, true);
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
        return conclude_failure(s, index, MOE_OUTCOME_COMPILE_FAILED, 0, log);
    }
    MOE_TRY(status);
    status = moe_builder_find(s->tuner->builder, &source, &built);
    if (!status && !built) return moe_builder_start(s->tuner->builder, &source, index);
    moe_source_free(&source);
    return status ? status : try_candidate(s, index, built);
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
        MOE_TRY(try_candidate(s, index, built));
        show(s);
    }
    s->result->complete = !more && !moe_compile_pool_busy(pool);
    return moe_builder_drain(s->tuner->builder);
}

/* ------------------------------------------------------------------------------------ the races */

/* A candidate in a race, on a case that all of them share. */
typedef struct contender {
    op_search *s;
    int64_t index;
    uint64_t name;
    const moe_built *built;
    moe_trial *trial;
} contender;

static moe_status run_contender(void *context) {
    const contender *c = context;
    moe_tuner_runs(c->s->tuner, c->name);
    return moe_trial_run(c->trial);
}

static moe_status open_contender(contender *c) {
    op_search *s = c->s;
    MOE_TRY(moe_candidate_image(&s->tried[c->index].candidate, &s->result->op, s->tuner->facts,
                                s->tuner->builder, &c->built));
    return moe_trial_open(s->c, &c->built->compiled.image, &c->trial);
}

/* As many as there is room for at once, the best first: the others stay as they were. */
static moe_status open_contenders(op_search *s, const int64_t *index, int count, contender *out,
                                  int *opened) {
    MOE_TRY(open_case(s));
    for (int i = *opened = 0; i < count; i++) {
        out[*opened] = (contender){.s = s, .index = index[i], .name = name_of(s, index[i])};
        moe_status status = open_contender(&out[*opened]);
        if (status && status != MOE_E_MEMORY) return status;
        *opened += !status;
    }
    return MOE_OK;
}

/* A candidate that was right alone and misbehaves in a race is not to be trusted. */
static moe_status disqualify(op_search *s, int64_t index, moe_outcome outcome) {
    char log[1024];
    moe_finalist *f = &s->tried[index];
    snprintf(log, sizeof log, "%s", moe_error_text());
    moe_tuner_note_fault(s->tuner, outcome);
    f->record = moe_tuner_record(s->tuner, &s->result->op, &f->candidate);
    f->record.measurement = (moe_measurement){.outcome = outcome};
    moe_search_report(s->search, index, INFINITY);
    return moe_tuner_put(s->tuner, &f->record, &(moe_evidence){.log = log});
}

/* A candidate that comes so far may win, or stand in a layer that wins: its code is kept. */
static moe_status store_race(const contender *c, const moe_samples *samples) {
    op_search *s = c->s;
    moe_finalist *f = &s->tried[c->index];
    char text[MOE_SAMPLES_TEXT_SIZE];
    const moe_evidence evidence = {.samples = text, .compiled = &c->built->compiled,
                                   .source = c->built->source.text};
    double err = f->record.measurement.err;
    f->record = moe_tuner_record(s->tuner, &s->result->op, &f->candidate);
    f->record.measurement = summarise(s, samples, err);
    moe_samples_print(samples, text, sizeof text);
    moe_search_report(s->search, c->index, f->record.measurement.med);
    return moe_tuner_put(s->tuner, &f->record, &evidence);
}

static moe_status run_race(op_search *s, contender *contenders, int count, int64_t least) {
    const moe_timing timing = {.cache = s->result->op.cache};
    moe_rival rivals[RIVALS] = {0};
    moe_outcome outcome;
    for (int i = 0; i < count; i++)
        rivals[i] = (moe_rival){.run = run_contender, .context = &contenders[i]};
    moe_status status =
        moe_meter_race(&s->tuner->meter, &timing, rivals, count, least, 2 * least);
    moe_tuner_runs(s->tuner, 0);
    for (int i = 0; i < count; i++)
        if (moe_outcome_of(rivals[i].status, &outcome))
            return disqualify(s, contenders[i].index, outcome);
    for (int i = 0; i < count && !status; i++)
        status = store_race(&contenders[i], &rivals[i].samples);
    return status;
}

/* Runs candidates against each other and stores the longer series of samples. */
static moe_status race(op_search *s, const int64_t *index, int count, int64_t least) {
    contender contenders[RIVALS];
    int opened = 0;
    moe_status status = open_contenders(s, index, count, contenders, &opened);
    if (!status) status = run_race(s, contenders, opened, least);
    for (int i = 0; i < opened; i++) moe_trial_close(contenders[i].trial);
    return status;
}

/* The best `room` candidates, and the op's default where it is not among them. */
static int list_rivals(op_search *s, int64_t *index, int room) {
    int count = (int)moe_search_best(s->search, index, room);
    int64_t standard = s->all.landscape.defaults[0];
    bool there = s->tried[standard].record.measurement.outcome != MOE_OUTCOME_OK;
    for (int i = 0; i < count; i++) there |= index[i] == standard;
    if (!there) index[count++] = standard;
    return count;
}

static bool all_have(const op_search *s, const int64_t *index, int count, int64_t samples) {
    for (int i = 0; i < count; i++)
        if (s->tried[index[i]].record.measurement.n < samples) return false;
    return true;
}

static moe_status run_races(op_search *s) {
    int64_t index[RIVALS], least = 10;
    if (s->tuner->meter.timer == MOE_TIMER_MODEL) return MOE_OK;
    for (int room = FIRST_ROUND; room >= MOE_FINALISTS; room /= 2, least *= 2) {
        if (moe_tuner_stopped(s->tuner) || s->tuner->lost) return MOE_OK;
        bool last = room / 2 < MOE_FINALISTS;
        int count = list_rivals(s, index, room);
        int64_t samples = last ? FINAL_SAMPLES : least;
        if (count < 1 || all_have(s, index, count, samples)) continue;
        MOE_TRY(race(s, index, count, samples));
    }
    return MOE_OK;
}

/* Puts the winner in front of the others, which stand by time. */
static void name_finalists(op_search *s) {
    int64_t index[MOE_FINALISTS + 1];
    char text[MOE_FINALISTS + 1][MOE_TEMPLATE_ID_SIZE + MOE_CONFIG_TEXT_SIZE];
    moe_racer racers[MOE_FINALISTS + 1];
    int count = list_rivals(s, index, MOE_FINALISTS);
    for (int i = 0; i < count; i++) {
        const moe_finalist *f = &s->tried[index[i]];
        int used = snprintf(text[i], sizeof text[i], "%s ", f->record.template_id);
        moe_config_print(&f->record.config, text[i] + used, sizeof text[i] - (size_t)used);
        racers[i] = (moe_racer){f->record.measurement, f->candidate.is_default, text[i]};
    }
    int winner = moe_winner(racers, count);
    s->result->finalists = 0;
    if (winner < 0) return;
    s->result->finalist[s->result->finalists++] = s->tried[index[winner]];
    for (int i = 0; i < count && s->result->finalists < MOE_FINALISTS; i++)
        if (i != winner) s->result->finalist[s->result->finalists++] = s->tried[index[i]];
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
    MOE_TRY(run_races(s));
    s->result->standard = s->tried[s->all.landscape.defaults[0]];
    name_finalists(s);
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
