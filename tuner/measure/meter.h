/* meter.h - how long a piece of device work takes.
 *
 * On a GPU: CUPTI's kernel records, or device events where CUPTI is missing or refused (the samples
 * say which). On a simulated GPU: its model, which is the same each time, so one sample is all. */
#ifndef MOE_METER_H
#define MOE_METER_H

#include "core/measurement.h"
#include "core/op.h"
#include "device/device.h"

enum { MOE_MAX_SAMPLES = 256, MOE_SAMPLES_TEXT_SIZE = MOE_MAX_SAMPLES * 16 };

typedef struct moe_samples {
    int64_t n;
    double ns[MOE_MAX_SAMPLES];
} moe_samples;

double moe_samples_median(const moe_samples *samples);
double moe_samples_mad(const moe_samples *samples); /* median absolute deviation */

/* Numbers separated by spaces, to tenths of a nanosecond. */
void moe_samples_print(const moe_samples *samples, char *text, size_t size);

typedef struct moe_meter {
    moe_device *device;
    moe_timer timer;
    char note[256]; /* why the timer is not the best one, or "" */
} moe_meter;

/* Chooses the device's best timer. */
void moe_meter_init(moe_meter *meter, moe_device *device);

/* Something that enqueues work on the device's default stream. */
typedef moe_status moe_work(void *context);

typedef struct moe_rival {
    moe_work *run;
    void *context;
    moe_samples samples;
    moe_status status; /* what made it drop out; its error text is the last one */
} moe_rival;

/* What is timed: cold work finds the caches emptied, warm work has just run before. `span` counts
 * from the first kernel's start to the last one's end, gaps included; else kernel times are added.
 * */
typedef struct moe_timing {
    moe_cache cache;
    bool span;
} moe_timing;

/* Takes one sample of one piece of work. */
moe_status moe_meter_sample(moe_meter *meter, const moe_timing *timing, moe_work *run,
                            void *context, double *ns);

/* Times rivals in turn, round after round, so that a drift of clocks falls on all alike, until each
 * has `least` samples and the medians are known to half a percent, or has `most`. A model gives one
 * sample. A rival that fails stops the race. */
moe_status moe_meter_race(moe_meter *meter, const moe_timing *timing, moe_rival *rivals, int count,
                          int64_t least, int64_t most);

#endif
