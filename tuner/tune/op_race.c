/* op_race.c - the best candidates of an op against each other: half of them drop out each time
 * while the samples double. */
#include "measure/outcome.h"
#include "measure/winner.h"
#include "tune/op_search.h"

#include <math.h>
#include <stdio.h>

enum {
    FINAL_SAMPLES = 50,      /* of the last finalists, at least */
    FIRST_ROUND = 16,        /* candidates that run again after the search, */
    RIVALS = FIRST_ROUND + 1 /* and the default */
};

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
    MOE_TRY(op_search_open_case(s));
    for (int i = *opened = 0; i < count; i++) {
        out[*opened] = (contender){.s = s, .index = index[i], .name = op_search_name(s, index[i])};
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
    f->record.measurement = op_search_summarise(s, samples, err);
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

moe_status op_search_race(op_search *s) {
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

void op_search_finalists(op_search *s) {
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
