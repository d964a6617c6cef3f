/* tune_layer.c - the best pipeline of a whole layer, timed end to end.
 *
 * The separate ops' default configs always race, against those of other forms, against every form
 * of the ops' winners and, where times are measured, these with one op's second best put in. A
 * model adds the kernels' times up, so on a simulated device nothing but a sum of winners can win.
 */
#include "judge/layer_case.h"
#include "judge/layer_replay.h"
#include "measure/outcome.h"
#include "measure/winner.h"
#include "run/assemble.h"
#include "tune/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIPELINES = MOE_PIPELINE_COUNT * (2 + MOE_PIPELINE_STEPS), LAYER_SAMPLES = 50 };
enum { FIRST_SAMPLES = 10, LAST_ROUND = 4 };

typedef struct pipeline {
    const moe_pipeline_info *form;
    const moe_finalist *step[MOE_PIPELINE_STEPS]; /* in the order of the form's ops */
    moe_plan *plan;
    moe_layer_verdict verdict;
    moe_measurement measurement;
    bool is_default; /* in every step */
    char text[4096]; /* of its steps, for the winner's rule */
    uint64_t name;   /* of the layer and its text, while it runs */
} pipeline;

typedef struct layer_search {
    moe_tuner *tuner;
    moe_layer_result *result;
    moe_cache cache;
    moe_layer_case *c;
    uint64_t name; /* of the layer at its token count, routing and cache */
    pipeline pipeline[PIPELINES];
    int count;
    const pipeline *faulted; /* took the device along, or the process before this one; NULL: none */
} layer_search;

static bool is_good(const moe_finalist *f) {
    return f->record.measurement.outcome == MOE_OUTCOME_OK;
}

static void write_text(pipeline *p) {
    char config[MOE_CONFIG_TEXT_SIZE];
    moe_text out = moe_text_start(p->text, sizeof p->text);
    for (int i = 0; i < p->form->steps; i++) {
        moe_config_print(&p->step[i]->record.config, config, sizeof config);
        moe_text_add(&out, "%s %s; ", p->step[i]->record.template_id, config);
    }
}

/* Adds a pipeline unless it is there already. */
static void add_pipeline(layer_search *s, const moe_pipeline_info *form,
                         const moe_finalist *const *step, bool is_default) {
    pipeline *p = &s->pipeline[s->count];
    p->form = form;
    p->is_default = is_default;
    for (int i = 0; i < form->steps; i++) {
        if (!is_good(step[i])) return;
        p->step[i] = step[i];
    }
    write_text(p);
    for (int i = 0; i < s->count; i++)
        if (!strcmp(s->pipeline[i].text, p->text)) return;
    p->name = moe_tuner_hash(s->name, p->text);
    s->count++;
}

static bool has_all(const moe_pipeline_info *form, const moe_op_result *const op[MOE_OP_COUNT]) {
    for (int i = 0; i < form->steps; i++)
        if (!op[form->step[i].op] || !op[form->step[i].op]->finalists) return false;
    return true;
}

/* A form of defaults, one of winners and, where times are measured, those with one op's second. */
static void list_form(layer_search *s, const moe_pipeline_info *form,
                      const moe_op_result *const op[MOE_OP_COUNT]) {
    const moe_finalist *standard[MOE_PIPELINE_STEPS], *best[MOE_PIPELINE_STEPS];
    if (!moe_pipeline_suits(form, &s->result->layer) || !has_all(form, op)) return;
    for (int i = 0; i < form->steps; i++) {
        standard[i] = &op[form->step[i].op]->standard;
        best[i] = &op[form->step[i].op]->finalist[0];
    }
    add_pipeline(s, form, standard, form == moe_pipeline_plain(&s->result->layer));
    add_pipeline(s, form, best, false);
    if (s->tuner->meter.timer == MOE_TIMER_MODEL) return;
    for (int i = 0; i < form->steps; i++) {
        const moe_finalist *swapped[MOE_PIPELINE_STEPS];
        if (op[form->step[i].op]->finalists < 2) continue;
        memcpy(swapped, best, sizeof swapped);
        swapped[i] = &op[form->step[i].op]->finalist[1];
        add_pipeline(s, form, swapped, false);
    }
}

static moe_status assemble(layer_search *s, pipeline *p) {
    const moe_image *image[MOE_PIPELINE_STEPS];
    for (int i = 0; i < p->form->steps; i++) {
        const moe_op op = moe_op_make(p->form->step[i].op, &s->result->layer, s->result->t,
                                      s->result->routing, s->cache);
        const moe_built *built;
        MOE_TRY(moe_candidate_image(&p->step[i]->candidate, &op, s->tuner->facts,
                                    s->tuner->builder, &built));
        image[i] = &built->compiled.image;
    }
    return moe_plan_assemble(s->tuner->device, &s->result->layer, p->form, image, &p->plan);
}

/* What came of a pipeline that never came to its verdict. */
static void note_outcome(layer_search *s, pipeline *p, moe_outcome outcome, const char *why) {
    p->measurement = (moe_measurement){.outcome = outcome};
    snprintf(p->verdict.text, sizeof p->verdict.text, "%.250s", why);
    moe_tuner_note_fault(s->tuner, outcome);
    if (s->tuner->lost) s->faulted = p;
}

static moe_status load(layer_search *s, pipeline *p) {
    MOE_TRY(assemble(s, p));
    return moe_layer_case_fit(s->c, p->plan);
}

static moe_status verify(layer_search *s, pipeline *p) {
    double ns = 0;
    moe_outcome outcome;
    moe_tuner_runs(s->tuner, p->name);
    moe_status status = load(s, p);
    if (moe_outcome_of_loading(status, &outcome))
        return note_outcome(s, p, outcome, moe_error_text()), MOE_OK;
    MOE_TRY(status);
    status = moe_layer_case_verify(s->c, p->plan, &p->verdict, &ns);
    if (moe_outcome_of(status, &outcome))
        return note_outcome(s, p, outcome, moe_error_text()), MOE_OK;
    MOE_TRY(status);
    p->measurement = (moe_measurement){
        .outcome = p->verdict.ok ? MOE_OUTCOME_OK : MOE_OUTCOME_WRONG, .n = 1, .med = ns,
        .err = p->verdict.error, .timer = s->tuner->meter.timer};
    return MOE_OK;
}

static void take_samples(layer_search *s, pipeline *p, const moe_samples *samples) {
    p->measurement.n = samples->n;
    p->measurement.med = moe_samples_median(samples);
    p->measurement.mad = moe_samples_mad(samples);
    p->measurement.timer = s->tuner->meter.timer;
}

/* What is timed must be right, too: a plain run says nothing of what a graph replays. */
static moe_status judge_replays(layer_search *s, pipeline *const *racing,
                                moe_layer_replay *replays, int count) {
    for (int i = 0; i < count; i++) {
        moe_layer_verdict verdict;
        moe_outcome outcome;
        moe_tuner_runs(s->tuner, racing[i]->name);
        moe_status status = moe_layer_replay_judge(&replays[i], &verdict);
        if (moe_outcome_of(status, &outcome))
            return note_outcome(s, racing[i], outcome, moe_error_text()), MOE_OK;
        MOE_TRY(status);
        if (verdict.ok) continue;
        racing[i]->measurement.outcome = MOE_OUTCOME_WRONG;
        racing[i]->verdict = verdict;
    }
    return MOE_OK;
}

/* A pipeline in a race. */
typedef struct contender {
    layer_search *s;
    pipeline *p;
    moe_layer_replay *replay;
} contender;

static moe_status run_contender(void *context) {
    const contender *c = context;
    moe_tuner_runs(c->s->tuner, c->p->name);
    return moe_layer_replay_run(c->replay);
}

/* A pipeline may run well alone and fault in the race. */
static moe_status run_race(layer_search *s, contender *contenders, int count, int64_t least) {
    const moe_timing timing = {.cache = s->cache, .span = true};
    moe_rival rivals[PIPELINES] = {0};
    moe_outcome outcome;
    for (int i = 0; i < count; i++)
        rivals[i] = (moe_rival){.run = run_contender, .context = &contenders[i]};
    moe_status status =
        moe_meter_race(&s->tuner->meter, &timing, rivals, count, least, 2 * least);
    for (int i = 0; i < count; i++)
        if (moe_outcome_of(rivals[i].status, &outcome))
            return note_outcome(s, contenders[i].p, outcome, moe_error_text()), MOE_OK;
    for (int i = 0; i < count && !status; i++) take_samples(s, contenders[i].p, &rivals[i].samples);
    return status;
}

/* Pipelines run against each other, as replayed graphs where the device has them. */
static moe_status race(layer_search *s, pipeline *const *racing, int count, int64_t least) {
    contender contenders[PIPELINES];
    moe_layer_replay replays[PIPELINES];
    const moe_plan *plans[PIPELINES];
    char note[512];
    for (int i = 0; i < count; i++) {
        contenders[i] = (contender){s, racing[i], &replays[i]};
        plans[i] = racing[i]->plan;
    }
    MOE_TRY(moe_layer_replays_open(s->tuner->device, s->c, plans, count, replays, note,
                                   sizeof note));
    if (*note) moe_progress_note(&s->tuner->progress, "    whole layers: %s", note);
    moe_status status = run_race(s, contenders, count, least);
    if (!status && !s->faulted) status = judge_replays(s, racing, replays, count);
    moe_layer_replays_close(replays, count);
    return status;
}

static int by_time(const void *a, const void *b) {
    const pipeline *p = *(pipeline *const *)a, *q = *(pipeline *const *)b;
    double x = p->measurement.med, y = q->measurement.med;
    return (x > y) - (x < y);
}

/* The right ones by time, at most `room` of them, and the default wherever it stands. */
static int list_right(layer_search *s, int room, pipeline **out) {
    int count = 0, kept = 0;
    for (int i = 0; i < s->count; i++)
        if (s->pipeline[i].measurement.outcome == MOE_OUTCOME_OK) out[count++] = &s->pipeline[i];
    qsort(out, (size_t)count, sizeof *out, by_time);
    for (int i = 0; i < count; i++)
        if (i < room || out[i]->is_default) out[kept++] = out[i];
    return kept;
}

/* All that are right run a few times; then the best of them, with the default, often enough to name
 * a winner. */
static moe_status run_races(layer_search *s) {
    pipeline *racing[PIPELINES];
    if (s->tuner->meter.timer == MOE_TIMER_MODEL) return MOE_OK;
    int count = list_right(s, PIPELINES, racing);
    if (count > LAST_ROUND + 1) {
        MOE_TRY(race(s, racing, count, FIRST_SAMPLES));
        if (s->faulted) return MOE_OK;
        count = list_right(s, LAST_ROUND, racing);
    }
    return count ? race(s, racing, count, LAYER_SAMPLES) : MOE_OK;
}

static moe_choice choice_of(const layer_search *s, const pipeline *p) {
    moe_choice choice = {.layer = s->result->layer, .t = s->result->t,
                         .routing = s->result->routing, .cache = s->cache,
                         .steps = p->form->steps, .measurement = p->measurement};
    const moe_record now = moe_tuner_record(s->tuner, &p->step[0]->record.op,
                                            &p->step[0]->candidate);
    choice.provenance = now.provenance;
    choice.provenance.is_default = 0;
    for (int i = 0; i < p->form->steps; i++) {
        moe_step *step = &choice.step[i];
        step->kind = p->form->step[i].op;
        memcpy(step->template_id, p->step[i]->record.template_id, sizeof step->template_id);
        step->config = p->step[i]->record.config;
    }
    return choice;
}

static moe_status conclude(layer_search *s) {
    moe_racer racers[PIPELINES];
    for (int i = 0; i < s->count; i++) {
        const pipeline *p = &s->pipeline[i];
        racers[i] = (moe_racer){p->measurement, p->is_default, p->text};
        s->result->tried++;
        if (p->is_default && p->measurement.outcome == MOE_OUTCOME_OK)
            s->result->standard_ns = p->measurement.med;
        if (p->measurement.outcome == MOE_OUTCOME_OK) continue;
        s->result->wrong |= p->measurement.outcome != MOE_OUTCOME_OVER_LIMIT;
        snprintf(s->result->note, sizeof s->result->note, "a pipeline of good kernels is %s: %s",
                 moe_outcome_names[p->measurement.outcome], p->verdict.text);
    }
    int winner = moe_winner(racers, s->count);
    if (winner < 0) return MOE_OK;
    s->result->choice = choice_of(s, &s->pipeline[winner]);
    s->result->there = true;
    return moe_tuner_put_choice(s->tuner, &s->result->choice);
}

/* A stored choice stands while it is of this compiler and driver and made of kernels that would
 * race again. */
static bool is_among(const layer_search *s, const moe_choice *choice) {
    for (int i = 0; i < s->count; i++) {
        bool same = choice->steps == s->pipeline[i].form->steps;
        for (int step = 0; same && step < choice->steps; step++) {
            char a[MOE_CONFIG_TEXT_SIZE], b[MOE_CONFIG_TEXT_SIZE];
            const moe_record *record = &s->pipeline[i].step[step]->record;
            moe_config_print(&record->config, a, sizeof a);
            moe_config_print(&choice->step[step].config, b, sizeof b);
            same = !strcmp(record->template_id, choice->step[step].template_id) && !strcmp(a, b);
        }
        if (same) return true;
    }
    return false;
}

static moe_status resume(layer_search *s) {
    moe_choice choice = {.layer = s->result->layer, .t = s->result->t,
                         .routing = s->result->routing, .cache = s->cache};
    bool found;
    MOE_TRY(moe_storage_find_choice(s->tuner->store, s->tuner->device_row, &choice, &found));
    if (!found || strcmp(choice.provenance.toolkit, s->tuner->provenance.toolkit) ||
        strcmp(choice.provenance.driver, s->tuner->provenance.driver) || !is_among(s, &choice))
        return MOE_OK;
    s->result->choice = choice;
    s->result->resumed = true;
    s->result->there = choice.measurement.outcome == MOE_OUTCOME_OK;
    if (s->result->there) return MOE_OK;
    s->result->wrong = true;
    snprintf(s->result->note, sizeof s->result->note, "a pipeline of good kernels was %s before",
             moe_outcome_names[choice.measurement.outcome]);
    return MOE_OK;
}

/* A pipeline that took the device along is stored, so that the next process does not run it again.
 * */
static moe_status conclude_loss(layer_search *s) {
    const pipeline *p = s->faulted;
    s->result->choice = choice_of(s, p);
    s->result->wrong = true;
    snprintf(s->result->note, sizeof s->result->note, "a pipeline of good kernels is %s: %s",
             moe_outcome_names[p->measurement.outcome], p->verdict.text);
    return moe_tuner_put_choice(s->tuner, &s->result->choice);
}

/* What the process before this one ended with. */
static void find_blamed(layer_search *s) {
    for (int i = 0; i < s->count; i++) {
        if (!moe_tuner_blames(s->tuner, s->pipeline[i].name)) continue;
        s->faulted = &s->pipeline[i];
        note_outcome(s, &s->pipeline[i], MOE_OUTCOME_TIMEOUT, "the tuner ended while it ran");
    }
}

static moe_status verify_all(layer_search *s) {
    for (int i = 0; i < s->count && !s->faulted; i++) MOE_TRY(verify(s, &s->pipeline[i]));
    return MOE_OK;
}

static moe_status run(layer_search *s) {
    moe_entry entry = moe_layer_entry(&s->result->layer, s->result->routing);
    MOE_TRY(resume(s));
    if (s->result->resumed || !s->count) return MOE_OK;
    find_blamed(s);
    if (s->faulted) return conclude_loss(s);
    MOE_TRY(moe_layer_case_open(s->tuner->device, &s->result->layer, s->result->t,
                                s->result->routing, entry, s->tuner->seed, &s->c));
    MOE_TRY(verify_all(s));
    if (!s->faulted) MOE_TRY(run_races(s));
    moe_tuner_runs(s->tuner, 0);
    return s->faulted ? conclude_loss(s) : conclude(s);
}

/* The layer's part of its pipelines' names. */
static moe_status name_layer(layer_search *s) {
    char text[MOE_LAYER_TEXT_SIZE + 64], layer[MOE_LAYER_TEXT_SIZE];
    const moe_layer_result *r = s->result;
    MOE_TRY(moe_layer_print(&r->layer, layer, sizeof layer));
    snprintf(text, sizeof text, "%s t=%lld routing=%s cache=%s", layer, (long long)r->t,
             moe_routing_names[r->routing], moe_cache_names[s->cache]);
    s->name = moe_tuner_hash(1, text);
    return MOE_OK;
}

moe_status moe_tune_layer(moe_tuner *tuner, const moe_op_result *const op[MOE_OP_COUNT],
                          moe_cache cache, moe_layer_result *out) {
    layer_search s = {.tuner = tuner, .result = out, .cache = cache};
    for (int kind = 0; kind < MOE_PLAIN_OPS; kind++)
        if (op[kind] && !op[kind]->finalists)
            snprintf(out->note, sizeof out->note, "no kernel of %s is good", moe_op_names[kind]);
    MOE_TRY(name_layer(&s));
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++) list_form(&s, &moe_pipeline_table[i], op);
    moe_status status = run(&s);
    for (int i = 0; i < s.count; i++) moe_plan_destroy(s.pipeline[i].plan);
    moe_layer_case_close(s.c);
    return status;
}
