/* capacity.h - how many rows an expert keeps: text form, and the formulas. */
#ifndef MOE_CAPACITY_H
#define MOE_CAPACITY_H

#include "core/text.h"

/* A field whose value is a moe_capacity. */
extern const moe_field_type moe_field_capacity;

/* By moe_capacity_rule: for people, with K, C and E for the layer's numbers. */
extern const char *const moe_capacity_formulas[];

#endif
