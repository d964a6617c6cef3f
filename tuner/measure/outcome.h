/* outcome.h - what the status of a kernel's run says of the kernel. */
#ifndef MOE_OUTCOME_H
#define MOE_OUTCOME_H

#include "core/measurement.h"

/* True where a status is what became of the kernel at hand: *out says how. False where it is
 * MOE_OK, or an error of the tools, and nothing is known of the kernel. */
bool moe_outcome_of(moe_status status, moe_outcome *out);

/* The same while one candidate's code and memory are brought to the device: one that finds no room
 * there is no reason to give up the others. */
bool moe_outcome_of_loading(moe_status status, moe_outcome *out);

#endif
