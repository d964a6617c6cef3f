/* capacity.h - how many rows an expert keeps: text form, and the formulas. */
#ifndef MOE_CAPACITY_H
#define MOE_CAPACITY_H

#include "core/text.h"

/* A field whose value is a moe_capacity. */
extern const moe_field_type moe_field_capacity;

extern const char *const moe_capacity_names[]; /* by moe_capacity_rule */

#endif
