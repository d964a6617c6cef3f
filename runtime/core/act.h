/* act.h - activations: what each is, and their text form. */
#ifndef MOE_ACT_H
#define MOE_ACT_H

#include "core/text.h"

typedef struct moe_act_info {
    bool gated;          /* it multiplies a gate with an up projection */
    bool constant;       /* it looks at no input: there are no up weights */
    bool product;        /* of normal inputs it makes products of two: its tails are long */
    double limit, alpha; /* the usual numbers, where its text has two; else 0 */
} moe_act_info;

extern const moe_act_info moe_act_table[]; /* by moe_act_kind */
extern const char *const moe_act_names[];  /* the same, NULL-terminated; without numbers */

/* A field whose value is a moe_act. */
extern const moe_field_type moe_field_act;

/* Appends the names of those without a gate, as in "relu, silu". */
void moe_act_add_plain(moe_text *out);

#endif
