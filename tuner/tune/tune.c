/* tune.c - what the steps of a tune share. */
#include "tune/tune.h"

#include "measure/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char commit[] =
#include "commit.inc"
    ;

static void set_date(moe_provenance *provenance) {
    time_t now = time(NULL);
    struct tm utc;
    strftime(provenance->date, sizeof provenance->date, "%Y-%m-%dT%H:%M:%SZ",
             gmtime_r(&now, &utc));
}

void moe_tuner_provenance(const moe_device *device, const char *toolkit, moe_provenance *out) {
    const moe_facts *facts = moe_device_facts(device);
    *out = (moe_provenance){.clock = facts->simulated ? facts->clock : moe_clock_mhz()};
    snprintf(out->toolkit, sizeof out->toolkit, "%s", toolkit);
    snprintf(out->commit, sizeof out->commit, "%s", commit);
    snprintf(out->driver, sizeof out->driver, "%s", moe_device_driver(device));
    set_date(out);
}

bool moe_tuner_stopped(const moe_tuner *tuner) { return tuner->stop && *tuner->stop; }

moe_record moe_tuner_record(const moe_tuner *tuner, const moe_op *op,
                            const moe_candidate *candidate) {
    moe_record record = {.op = *op, .config = candidate->config, .provenance = tuner->provenance};
    snprintf(record.template_id, sizeof record.template_id, "%s",
             moe_template_id(candidate->t));
    record.provenance.is_default = candidate->is_default;
    if (!tuner->facts->simulated) record.provenance.clock = moe_clock_mhz();
    set_date(&record.provenance);
    return record;
}

moe_status moe_candidate_image(const moe_candidate *candidate, const moe_op *op,
                               const moe_facts *facts, moe_builder *builder,
                               const moe_built **out) {
    moe_source source;
    MOE_TRY(moe_render(candidate->t, op, facts, &candidate->config, false, &source));
    MOE_TRY(moe_builder_get(builder, &source, out));
    if ((*out)->compiled.outcome == MOE_OUTCOME_OK) return MOE_OK;
    return moe_fail(MOE_E_COMPILE, "%s%s: %s", moe_template_id(candidate->t),
                    candidate->is_default ? ": default config" : "", (*out)->compiled.reason);
}

moe_status moe_tuner_put(moe_tuner *tuner, const moe_record *record,
                         const moe_evidence *evidence) {
    MOE_TRY(moe_storage_put(tuner->store, tuner->device_row, record, evidence));
    if (tuner->heart) tuner->heart->landed++;
    return MOE_OK;
}

moe_status moe_tuner_put_choice(moe_tuner *tuner, const moe_choice *choice) {
    MOE_TRY(moe_storage_put_choice(tuner->store, tuner->device_row, choice));
    if (tuner->heart) tuner->heart->landed++;
    return MOE_OK;
}

uint64_t moe_tuner_hash(uint64_t from, const char *text) {
    for (; *text; text++) from = (from ^ (uint64_t)*text) * 0x100000001b3u;
    return from;
}

void moe_tuner_runs(moe_tuner *tuner, uint64_t name) {
    if (!tuner->heart) return;
    tuner->heart->beats++;
    tuner->heart->running = name;
}

bool moe_tuner_blames(moe_tuner *tuner, uint64_t name) {
    if (!tuner->heart || !tuner->heart->running || tuner->heart->running != name) return false;
    tuner->heart->running = 0;
    return true;
}

void moe_tuner_note_fault(moe_tuner *tuner, moe_outcome outcome) {
    if (outcome == MOE_OUTCOME_FAULTED) tuner->lost = !tuner->facts->simulated;
}

double moe_tuner_seconds(const moe_tuner *tuner, double flops) {
    return tuner->facts->simulated ? flops / tuner->flop_rate : 0;
}
