/* tune.c - what the steps of a tune share. */
#include "tune.h"

#include <stdio.h>
#include <time.h>

bool moe_tuner_stopped(const moe_tuner *tuner) { return tuner->stop && *tuner->stop; }

moe_record moe_tuner_record(const moe_tuner *tuner, const moe_op *op,
                            const moe_candidate *candidate) {
    moe_record record = {.op = *op, .config = candidate->config, .provenance = tuner->provenance};
    snprintf(record.template_id, sizeof record.template_id, "%s",
             moe_template_id(candidate->t));
    record.provenance.is_default = candidate->is_default;
    time_t now = time(NULL);
    struct tm utc;
    strftime(record.provenance.date, sizeof record.provenance.date, "%Y-%m-%dT%H:%M:%SZ",
             gmtime_r(&now, &utc));
    return record;
}

moe_status moe_tuner_image(moe_tuner *tuner, const moe_op *op, const moe_candidate *candidate,
                           const moe_built **out) {
    moe_source source;
    MOE_TRY(moe_render(candidate->t, op, tuner->facts, &candidate->config, false, &source));
    return moe_builder_get(tuner->builder, &source, out);
}

double moe_tuner_seconds(const moe_tuner *tuner, double flops) {
    return tuner->facts->simulated ? flops / tuner->flop_rate : 0;
}
