/* op_candidate.c - one candidate of an op: verified before it is timed, and stored before the next
 * is begun. */
#include "judge/op_work.h"
#include "measure/outcome.h"
#include "tune/op_search.h"

#include <math.h>
#include <stdio.h>

enum { SCREEN_SAMPLES = 5 }; /* of every candidate that is measured */

/* Slower candidates than this, next to the best so far, are stored without their code. */
static const double KEEP_IMAGE = 1.25;

void op_search_count(op_search *s, int64_t index, bool resumed) {
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
    op_search_count(s, index, false);
    return MOE_OK;
}

moe_status op_search_fail(op_search *s, int64_t index, moe_outcome outcome, double err,
                                   const char *log) {
    bool model = s->tuner->meter.timer == MOE_TIMER_MODEL; /* as every row of a simulated device */
    const moe_measurement m = {.outcome = outcome, .err = err,
                               .timer = model ? MOE_TIMER_MODEL : MOE_TIMER_NONE};
    return conclude(s, index, &m, NULL, log, NULL);
}

uint64_t op_search_name(const op_search *s, int64_t index) {
    char op[MOE_OP_TEXT_SIZE], config[MOE_CONFIG_TEXT_SIZE];
    const moe_candidate *candidate = &s->tried[index].candidate;
    moe_op_print(&s->result->op, op, sizeof op);
    moe_config_print(&candidate->config, config, sizeof config);
    return moe_tuner_hash(moe_tuner_hash(moe_tuner_hash(1, op), moe_template_id(candidate->t)),
                          config);
}

moe_status op_search_open_case(op_search *s) {
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
    return op_search_fail(s, index, outcome, 0, log);
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

moe_measurement op_search_summarise(const op_search *s, const moe_samples *samples, double err) {
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
        return op_search_fail(s, index, MOE_OUTCOME_WRONG, verdict.error, verdict.text);
    const moe_measurement m = op_search_summarise(s, &samples, verdict.error);
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
moe_status op_search_try(op_search *s, int64_t index, const moe_built *built) {
    char reason[MOE_REASON_SIZE];
    bool go;
    const moe_compiled *compiled = &built->compiled;
    if (compiled->outcome != MOE_OUTCOME_OK)
        return op_search_fail(s, index, compiled->outcome, 0, compiled->reason);
    if (!moe_launch_fits(&compiled->image.launch, s->tuner->facts, reason, sizeof reason))
        return op_search_fail(s, index, MOE_OUTCOME_OVER_LIMIT, 0, reason);
    MOE_TRY(revise(s, index, &compiled->image.launch, &go));
    if (!go) return MOE_OK;
    MOE_TRY(op_search_open_case(s));
    MOE_TRY(mark_in_flight(s, index));
    return run_trial(s, index, built);
}
