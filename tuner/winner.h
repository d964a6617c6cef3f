/* winner.h - who wins a race between candidates.
 *
 * The fastest wins, unless others are within the noise of it: then the default config, if it is
 * among them, else the lowest text. So machines that measure the same choose the same, and no
 * config is adopted for a difference that another day would not show. */
#ifndef MOE_WINNER_H
#define MOE_WINNER_H

#include "measurement.h"

typedef struct moe_racer {
    moe_measurement measurement;
    bool is_default;
    const char *text; /* "template config" */
} moe_racer;

/* Least difference of medians, in ns, that means anything: 1 % of the smaller, or three standard
 * errors of the difference where that is more. */
double moe_noise(const moe_measurement *a, const moe_measurement *b);

/* The index of the winner, or -1 if none is ok. */
int moe_winner(const moe_racer *racers, int count);

#endif
