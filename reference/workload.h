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

/* Which arrays to make, as a set of tensors; each is large or small on its own. */
#define MOE_MAKE(name) (UINT64_C(1) << MOE_ARG_##name)
#define MOE_MAKE_X MOE_MAKE(x)
#define MOE_MAKE_ROUTER                                                                            \
    (MOE_MAKE(router_weight) | MOE_MAKE(router_keys) | MOE_MAKE(router_noise) |                    \
     MOE_MAKE(router_bias))
#define MOE_MAKE_LOGITS MOE_MAKE(logits)
#define MOE_MAKE_UP (MOE_MAKE(up) | MOE_MAKE(up_bias) | MOE_MAKE(shared_up))
#define MOE_MAKE_DOWN (MOE_MAKE(down) | MOE_MAKE(down_bias) | MOE_MAKE(shared_down))
#define MOE_MAKE_GATE MOE_MAKE(shared_gate)
#define MOE_MAKE_ALL ((UINT64_C(1) << MOE_CALLER_TENSORS) - 1)
#define MOE_MAKE_BEHIND_ROUTER (MOE_MAKE_ALL & ~(MOE_MAKE_ROUTER | MOE_MAKE_LOGITS))

_Static_assert(MOE_CALLER_TENSORS < 64, "a set of tensors is a bit for each");

/* token_ids, expert_table and the seed of what the router draws are there whatever is made. */
typedef struct moe_workload {
    moe_layer layer;
    int64_t tokens;
    uint64_t random; /* the seed of all arrays */
#define MOE_TENSOR MOE_READ_ROW
#define MOE_READ(dtype, name) MOE_HOST_##dtype *name;
#include "core/tensor.def"
#undef MOE_READ
#undef MOE_TENSOR
} moe_workload;

/* Rows of expert_table. The first one has its last expert in every slot, and the second one an
 * expert that there is not; some tokens' ids are of no row. */
enum { MOE_WORKLOAD_VOCAB = 61 };

/* Elements of each array of a layer at T tokens; 0 where the layer lacks it. */
typedef struct moe_layer_sizes {
#define MOE_TENSOR(name, ...) int64_t name;
#include "core/tensor.def"
#undef MOE_TENSOR
} moe_layer_sizes;

moe_layer_sizes moe_layer_elements(const moe_layer *layer, int64_t tokens);

/* The array of a tensor, or NULL; and its bytes. */
const void *moe_workload_array(const moe_workload *workload, moe_arg tensor);
size_t moe_workload_bytes(const moe_workload *workload, moe_arg tensor);

/* Makes the arrays of `make` (a set of MOE_MAKE_*); the others are NULL. An array depends on the
 * seed, on its own shape and, for logits, on the routing: not on what else is made. MOE_E_MEMORY.
 */
moe_status moe_workload_init(moe_workload *workload, const moe_layer *layer, int64_t tokens,
                             moe_routing routing, uint64_t seed, uint64_t make);
void moe_workload_free(moe_workload *workload);

/* The arrays as the reference takes them. */
moe_host_layer moe_workload_host(const moe_workload *workload);

/* Fills logits [T,e] for a routing class. */
void moe_workload_logits(const moe_layer *layer, int64_t tokens, moe_routing routing, uint64_t seed,
                         float *logits);

#endif
