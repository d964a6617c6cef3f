/* workload.h - random inputs of a layer, the same on every machine.
 *
 * Everything is at unit scale, so that tolerances have a meaning: x ~ N(0,1), weights ~
 * N(0,1/fan_in) and biases ~ N(0,1/16), rounded to their dtypes. How tokens spread over experts is
 * decided by logits [T,e], which a layer takes in place of its router GEMM; of product keys
 * "expert" is a key of a half, and k what a head takes:
 *
 *   uniform  independent N(0,1)
 *   zipf     -log(i+1) for expert i plus Gumbel noise: the best k are then a sample without
 *            replacement in which expert i has popularity 1/(i+1)
 *   one      every token chooses the same k experts, spread over all of them; their order varies
 *   empty    experts of odd number get nothing, as far as k leaves enough others */
#ifndef MOE_WORKLOAD_H
#define MOE_WORKLOAD_H

#include "reference.h"

/* Which arrays to make; each is large or small on its own. */
enum {
    MOE_MAKE_X = 1,
    MOE_MAKE_ROUTER = 2, /* router_weight, and router_keys, router_noise and router_bias where the
                            layer has them */
    MOE_MAKE_LOGITS = 4,
    MOE_MAKE_UP = 8,    /* up, up_bias, shared_up */
    MOE_MAKE_DOWN = 16, /* down, down_bias, shared_down */
    MOE_MAKE_GATE = 32, /* shared_gate */
    MOE_MAKE_ALL = 63
};

typedef struct moe_workload {
    moe_layer layer;
    int64_t tokens;
    void *x, *router_weight, *router_keys, *up, *up_bias, *down, *down_bias;
    void *shared_up, *shared_down, *shared_gate;
    float *router_bias, *logits;
    void *router_noise;
    int *token_ids, *expert_table; /* of hash, whatever is made */
    uint64_t seed;                 /* of what the router draws */
} moe_workload;

/* Rows of expert_table. The first one has its last expert in every slot, and the second one an
 * expert that there is not; some tokens' ids are of no row. */
enum { MOE_WORKLOAD_VOCAB = 61 };

/* Elements of each array of a layer at T tokens; 0 for a bias that the layer lacks. */
typedef struct moe_layer_sizes {
    int64_t x, router_weight, router_keys, router_bias, logits, up, up_bias, down, down_bias, y,
        slots;
    int64_t shared_up, shared_down, shared_gate, router_noise;
} moe_layer_sizes;

moe_layer_sizes moe_layer_elements(const moe_layer *layer, int64_t tokens);

/* Makes the arrays of `make` (a set of MOE_MAKE_*); the others are NULL. An array depends on the
 * seed, on its own shape and, for logits, on the routing: not on what else is made. MOE_E_MEMORY.
 */
moe_status moe_workload_init(moe_workload *workload, const moe_layer *layer, int64_t tokens,
                             moe_routing routing, uint64_t seed, unsigned make);
void moe_workload_free(moe_workload *workload);

/* The arrays as the reference takes them. */
moe_host_layer moe_workload_host(const moe_workload *workload);

/* Fills logits [T,e] for a routing class. */
void moe_workload_logits(const moe_layer *layer, int64_t tokens, moe_routing routing, uint64_t seed,
                         float *logits);

#endif
