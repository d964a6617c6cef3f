/* activation.h - what stands between the two expert GEMMs, in double. */
#ifndef MOE_ACTIVATION_H
#define MOE_ACTIVATION_H

#include "core/act.h"

/* The activation of one hidden unit. `gate` is the only input where there is no gate; `up` is then
 * not read. */
double moe_activate(const moe_act *act, double gate, double up);

#endif
