/* winner.c - who wins a race between candidates. */
#include "measure/winner.h"

#include <string.h>

static int fastest(const moe_racer *racers, int count) {
    int best = -1;
    for (int i = 0; i < count; i++) {
        if (racers[i].measurement.outcome != MOE_OUTCOME_OK) continue;
        if (best < 0 || racers[i].measurement.med < racers[best].measurement.med) best = i;
    }
    return best;
}

int moe_winner(const moe_racer *racers, int count) {
    int best = fastest(racers, count), winner = best;
    for (int i = 0; i < count && best >= 0; i++) {
        const moe_measurement *m = &racers[i].measurement, *least = &racers[best].measurement;
        if (m->outcome != MOE_OUTCOME_OK || m->med - least->med > moe_noise(m, least)) continue;
        if (racers[winner].is_default) continue;
        if (racers[i].is_default || strcmp(racers[i].text, racers[winner].text) < 0) winner = i;
    }
    return winner;
}
