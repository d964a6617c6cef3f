/* meter.c - how long a piece of device work takes. */
#include "measure/meter.h"

#include "measure/cupti.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts `n` values and gives the middle one, or the mean of the middle two. */
static double median(double *values, int64_t n) {
    if (!n) return 0;
    qsort(values, (size_t)n, sizeof *values, compare);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

double moe_samples_median(const moe_samples *samples) {
    double sorted[MOE_MAX_SAMPLES];
    memcpy(sorted, samples->ns, (size_t)samples->n * sizeof *sorted);
    return median(sorted, samples->n);
}

double moe_samples_mad(const moe_samples *samples) {
    double distance[MOE_MAX_SAMPLES], middle = moe_samples_median(samples);
    for (int64_t i = 0; i < samples->n; i++) distance[i] = fabs(samples->ns[i] - middle);
    return median(distance, samples->n);
}

void moe_samples_print(const moe_samples *samples, char *text, size_t size) {
    moe_text out = moe_text_start(text, size);
    for (int64_t i = 0; i < samples->n; i++)
        moe_text_add(&out, "%s%.1f", i ? " " : "", samples->ns[i]);
}

void moe_meter_init(moe_meter *meter, moe_device *device) {
    *meter = (moe_meter){.device = device, .timer = MOE_TIMER_NONE};
    for (int timer = 0; timer < MOE_TIMER_COUNT; timer++)
        if (!strcmp(moe_timer_names[timer], device->class->timer)) meter->timer = (moe_timer)timer;
    if (meter->timer != MOE_TIMER_EVENTS) return;
    if (moe_cupti_open())
        snprintf(meter->note, sizeof meter->note, "%s; timing by events", moe_error_text());
    else
        meter->timer = MOE_TIMER_CUPTI;
}

static moe_status sync(const moe_meter *meter) {
    return meter->device->class->sync(meter->device->self, NULL);
}

static moe_status prepare(moe_meter *meter, const moe_timing *timing, moe_work *run,
                          void *context) {
    const moe_device_class *class = meter->device->class;
    if (meter->timer == MOE_TIMER_MODEL) return MOE_OK;
    if (timing->cache == MOE_CACHE_WARM)
        MOE_TRY(run(context));
    else if (class->flush_cache)
        MOE_TRY(class->flush_cache(meter->device->self));
    return sync(meter);
}

static moe_status sample_records(moe_meter *meter, const moe_timing *timing, moe_work *run,
                                 void *context, double *ns) {
    moe_cupti_window window;
    MOE_TRY(moe_cupti_begin());
    MOE_TRY(run(context));
    MOE_TRY(sync(meter));
    MOE_TRY(moe_cupti_end(&window));
    if (!window.kernels)
        return moe_fail(MOE_E_DEVICE, "CUPTI has no record of the kernels that ran");
    *ns = timing->span ? window.span : window.sum;
    return MOE_OK;
}

static moe_status sample_events(moe_meter *meter, moe_work *run, void *context, double *ns) {
    const moe_device_class *class = meter->device->class;
    MOE_TRY(class->time_begin(meter->device->self));
    moe_status status = run(context);
    moe_status ended = class->time_end(meter->device->self, ns);
    return status ? status : ended;
}

moe_status moe_meter_sample(moe_meter *meter, const moe_timing *timing, moe_work *run,
                            void *context, double *ns) {
    MOE_TRY(prepare(meter, timing, run, context));
    if (meter->timer == MOE_TIMER_CUPTI) {
        if (!sample_records(meter, timing, run, context, ns)) return MOE_OK;
        /* A profiler may have taken CUPTI away; a fault of the work shows again below. */
        snprintf(meter->note, sizeof meter->note, "%.200s; timing by events", moe_error_text());
        meter->timer = MOE_TIMER_EVENTS;
        MOE_TRY(prepare(meter, timing, run, context));
    }
    return sample_events(meter, run, context, ns);
}

/* Half the width of the interval that holds the true median with 95 %: between the samples of ranks
 * n/2 -+ sqrt(n). It takes nothing for granted about the samples, which may well have two peaks. */
static double median_error(const moe_samples *samples) {
    double sorted[MOE_MAX_SAMPLES];
    int64_t n = samples->n, reach = (int64_t)ceil(sqrt((double)n));
    int64_t low = n / 2 - reach, high = n / 2 + reach;
    memcpy(sorted, samples->ns, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    return (sorted[high < n ? high : n - 1] - sorted[low > 0 ? low : 0]) / 2;
}

static bool settled(const moe_samples *samples, int64_t least, int64_t most) {
    if (samples->n < least) return false;
    if (samples->n >= most) return true;
    return median_error(samples) <= 0.005 * moe_samples_median(samples);
}

static bool all_settled(const moe_rival *rivals, int count, int64_t least, int64_t most) {
    for (int i = 0; i < count; i++)
        if (!settled(&rivals[i].samples, least, most)) return false;
    return true;
}

moe_status moe_meter_race(moe_meter *meter, const moe_timing *timing, moe_rival *rivals, int count,
                          int64_t least, int64_t most) {
    moe_timer timer = meter->timer;
    if (most > MOE_MAX_SAMPLES) most = MOE_MAX_SAMPLES;
    if (timer == MOE_TIMER_MODEL) least = most = 1;
    for (int64_t round = 0; !all_settled(rivals, count, least, most); round++) {
        for (int i = 0; i < count; i++) {
            /* The order is reversed every other round: A B B A. */
            moe_rival *rival = &rivals[round % 2 ? count - 1 - i : i];
            if (rival->samples.n >= most) continue;
            rival->status = moe_meter_sample(meter, timing, rival->run, rival->context,
                                             &rival->samples.ns[rival->samples.n]);
            if (rival->status) return rival->status;
            rival->samples.n++;
        }
        if (meter->timer == timer) continue;
        for (int i = 0; i < count; i++) rivals[i].samples.n = 0; /* never mix two timers */
        timer = meter->timer;
    }
    return MOE_OK;
}
