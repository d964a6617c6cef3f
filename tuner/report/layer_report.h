/* layer_report.h - what a layer is, in numbers, as text or JSON. */
#ifndef MOE_LAYER_REPORT_H
#define MOE_LAYER_REPORT_H

#include "device/device.h"
#include "models/config_json.h"

#include <stdio.h>

typedef struct moe_layer_report {
    const moe_model *model; /* of a layer without one: no layers */
    const moe_facts *facts; /* of the device whose roofline counts */
    const int64_t *tokens;  /* at these token counts */
    int token_count;
} moe_layer_report;

/* MOE_E_IO, MOE_E_MEMORY. */
moe_status moe_layer_report_print(const moe_layer_report *report, bool json, FILE *to);

#endif
