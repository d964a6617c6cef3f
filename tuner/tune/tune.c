/* tune.c - what the steps of a tune share. */
#include "tune/tune.h"

#include "measure/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char commit[] =
#include "commit.inc"
    ;

/* The first word with a dot and a digit on the first line: "NVRM version: ...  575.57.08  ...". */
static void read_driver(char *text, size_t size) {
    char line[256] = "", word[64];
    const char *at = line;
    FILE *file = fopen("/proc/driver/nvidia/version", "r");
    snprintf(text, size, "unknown");
    if (!file) return;
    if (!fgets(line, sizeof line, file)) line[0] = '\0';
    fclose(file);
    while (moe_next_word(&at, word, sizeof word)) {
        if (*word < '0' || *word > '9' || !strchr(word, '.')) continue;
        snprintf(text, size, "%.24s", word);
        return;
    }
}

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
    set_date(out);
    if (facts->simulated)
        snprintf(out->driver, sizeof out->driver, "none");
    else
        read_driver(out->driver, sizeof out->driver);
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

moe_status moe_tuner_image(moe_tuner *tuner, const moe_op *op, const moe_candidate *candidate,
                           const moe_built **out) {
    moe_source source;
    MOE_TRY(moe_render(candidate->t, op, tuner->facts, &candidate->config, false, &source));
    return moe_builder_get(tuner->builder, &source, out);
}

double moe_tuner_seconds(const moe_tuner *tuner, double flops) {
    return tuner->facts->simulated ? flops / tuner->flop_rate : 0;
}
