/* weight_names.h - how families of models call and lay out the tensors of a MoE layer. */
#ifndef MOE_WEIGHT_NAMES_H
#define MOE_WEIGHT_NAMES_H

#include "models/shards.h"

/* Names behind a model's prefix. '#' stands for the layer's number, '*' for the expert's; of names
 * joined by '|' the first that is there counts. NULL: the family has no such tensor. */
typedef struct moe_weight_names {
    const char *types;       /* values of model_type whose models are so */
    const char *block;       /* what all names below start with */
    const char *parts;       /* what of the block is the layer's, joined by '|'; NULL: all */
    const char *router;      /* [e,d] */
    const char *router_bias; /* [e], added to the logits */
    const char *key_bias;    /* [e], added to the keys */
    const char *gate, *up;   /* [f,d] an expert */
    const char *gate_up;     /* [2f,d] an expert, in place of the two */
    const char *down;        /* [d,f] an expert */
    const char *up_bias;     /* [f] an expert; of gate_up [2f] */
    const char *down_bias;   /* [d] an expert */
    const char *shared_gate, *shared_up, *shared_gate_up, *shared_down;
    const char *shared_weight; /* [1,d], of the shared expert's gate */
    bool turned;      /* gate_up and down hold [in,out] an expert instead of [out,in] */
    bool turned_down; /* down alone does */
    bool alternating; /* rows of gate_up: gate, up, gate, up, ... */
} moe_weight_names;

enum { MOE_WEIGHT_NAME_SIZE = 192 };

/* Writes the first of the names that the model has, and is true, or writes the first of them. */
bool moe_weight_name(const moe_shards *shards, const char *prefix, const moe_weight_names *names,
                     const char *pattern, int64_t layer, int64_t expert,
                     char name[MOE_WEIGHT_NAME_SIZE]);

/* The names that the layer's tensors have, and their prefix. `type` is the family, or NULL; where
 * a family has several, `fits` (with its context) decides, which knows the shapes. Names of another
 * family than a known `type` are not taken for its own, nor is one of two layouts guessed:
 * MOE_E_UNSUPPORTED, as for quantised tensors. MOE_E_NOT_FOUND names some tensors of that layer. */
typedef bool moe_weight_fits(void *context, const char *prefix, const moe_weight_names *names);
moe_status moe_weight_names_find(const moe_shards *shards, const char *type, int64_t layer,
                                 moe_weight_fits *fits, void *context, const char **prefix,
                                 const moe_weight_names **out);

#endif
