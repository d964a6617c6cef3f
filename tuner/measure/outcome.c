/* outcome.c - what the status of a kernel's run says of the kernel. */
#include "measure/outcome.h"

static const struct {
    moe_status status;
    moe_outcome outcome;
} outcomes[] = {
    {MOE_E_FAULT, MOE_OUTCOME_FAULTED},
    {MOE_E_DEVICE, MOE_OUTCOME_FAULTED},
    /* Right as it may be, this device, or the case that it would be judged by, is not up to it. */
    {MOE_E_UNSUPPORTED, MOE_OUTCOME_OVER_LIMIT},
    {MOE_E_COMPILE, MOE_OUTCOME_COMPILE_FAILED},
    {MOE_E_TEMPLATE, MOE_OUTCOME_COMPILE_FAILED},
};

bool moe_outcome_of(moe_status status, moe_outcome *out) {
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        if (outcomes[i].status != status) continue;
        *out = outcomes[i].outcome;
        return true;
    }
    return false;
}

bool moe_outcome_of_loading(moe_status status, moe_outcome *out) {
    if (status != MOE_E_MEMORY) return moe_outcome_of(status, out);
    *out = MOE_OUTCOME_OVER_LIMIT;
    return true;
}
