/* winner.h - who wins a race between candidates.
 *
 * The fastest wins, unless others are within the noise of it (moe_noise): then the default config,
 * if it is among them, else the lowest text. So machines that measure the same choose the same, and
 * no config is adopted for a difference that another day would not show. */
#ifndef MOE_WINNER_H
#define MOE_WINNER_H

#include "core/measurement.h"

typedef struct moe_racer {
    moe_measurement measurement;
    bool is_default;
    const char *text; /* "template config" */
} moe_racer;

/* The index of the winner, or -1 if none is ok. */
int moe_winner(const moe_racer *racers, int count);

#endif
