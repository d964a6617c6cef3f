/* measurement.h - what came of running a candidate.
 *
 * Text: ok n=50 med=12345 mad=40 err=3.1e-3 timer=cupti. A candidate that fails is data, so every
 * outcome is stored. */
#ifndef MOE_MEASUREMENT_H
#define MOE_MEASUREMENT_H

#include "core/text.h"

typedef enum moe_outcome {
    MOE_OUTCOME_OK,
    MOE_OUTCOME_COMPILE_FAILED, /* NVRTC or ptxas refused the source */
    MOE_OUTCOME_OVER_LIMIT,     /* more than the device has: registers, spills, memory of any kind,
                                   an instruction that a simulated one lacks */
    MOE_OUTCOME_WRONG,          /* error beyond the tolerance */
    MOE_OUTCOME_FAULTED,        /* bad access, race, deadlock, trap, launch failure */
    MOE_OUTCOME_TIMEOUT,        /* did not finish in time */
    MOE_OUTCOME_COUNT
} moe_outcome;

typedef enum moe_timer {
    MOE_TIMER_NONE,   /* not timed */
    MOE_TIMER_CUPTI,  /* kernel activity records */
    MOE_TIMER_EVENTS, /* device events */
    MOE_TIMER_MODEL,  /* the simulated GPU's model: never a measurement */
    MOE_TIMER_COUNT
} moe_timer;

typedef struct moe_measurement {
    moe_outcome outcome;
    int64_t n;    /* samples */
    double med;   /* median time, ns */
    double mad;   /* median absolute deviation, ns */
    double err;   /* largest error over the RMS of the reference; see reference/tolerance.h */
    moe_timer timer;
} moe_measurement;

enum { MOE_MEASUREMENT_TEXT_SIZE = 160 };

extern const char *const moe_outcome_names[]; /* by moe_outcome, NULL-terminated */
extern const char *const moe_timer_names[];   /* by moe_timer */

/* Least difference of medians, in ns, that means anything: 1 % of the smaller, or three standard
 * errors of the difference where that is more. Below it, the default config wins, then the lower
 * text: so machines that measure the same choose the same. */
double moe_noise(const moe_measurement *a, const moe_measurement *b);

moe_status moe_measurement_parse(const char *text, moe_measurement *out);
void moe_measurement_print(const moe_measurement *measurement, char *text, size_t size);

#endif
