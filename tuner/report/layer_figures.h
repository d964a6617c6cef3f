/* layer_figures.h - what a layer holds and does, counted. */
#ifndef MOE_LAYER_FIGURES_H
#define MOE_LAYER_FIGURES_H

#include "core/facts.h"
#include "core/layer.h"
#include "core/tensor.h"

/* One tensor as `moetune run` names it. A shape of 0 ends early. */
typedef struct moe_tensor_row {
    const char *name, *dtype;
    const char *t; /* "T" or "vocabulary" where the first dimension is of these, else NULL */
    int64_t shape[4];
} moe_tensor_row;

enum { MOE_MAX_TENSOR_ROWS = MOE_CALLER_TENSORS };

/* Every tensor of a layer: inputs, weights, outputs. Returns how many. */
int moe_layer_tensors(const moe_layer *layer, moe_tensor_row *rows);

/* Of one device: where it holds a part of the experts, a token uses that part of its k on average.
 * Biases count as parameters, not as FLOPs. */
typedef struct moe_layer_figures {
    int64_t router, expert;      /* parameters of the router, and of one expert */
    int64_t shared;              /* of the expert that every token uses, with its gate */
    int64_t all, active;         /* parameters in all, and of the experts a token uses */
    int64_t bytes;               /* of all parameters */
    int64_t flops, router_flops; /* a token: experts, and router apart */
} moe_layer_figures;

moe_layer_figures moe_layer_count(const moe_layer *layer);

/* What T tokens that choose at random make of it on a device. */
typedef struct moe_layer_load {
    double touched;      /* share of the experts that get a token: 1 - (1 - k/e)^T; */
    double experts;      /* how many these are of the device's */
    double flops, bytes; /* in all, with what a capacity leaves out and each byte moved once */
    double ns;           /* by the roofline */
    bool compute;        /* the roofline's bound: products, not memory */
} moe_layer_load;

moe_layer_load moe_layer_load_at(const moe_layer *layer, const moe_facts *facts, int64_t tokens);

#endif
