/* tensor.h - the tensors of a layer: what each is, how large, and when a run needs it.
 *
 * tensor.def has a row for each; whoever needs all of them loops over MOE_TENSORS. */
#ifndef MOE_TENSOR_H
#define MOE_TENSOR_H

#include "core/args.h"

/* The number at which the workspace's own tensors begin: those before it have a member of
 * moe_io. */
enum { MOE_CALLER_TENSORS = MOE_ARG_jittered };

/* Where the address of a tensor comes from. */
typedef enum moe_place {
    MOE_PLACE_CALLER, /* moe_io */
    MOE_PLACE_EITHER, /* moe_io, or the workspace where that has none */
    MOE_PLACE_OWN,    /* the workspace */
} moe_place;

/* What shapes are made of, once for a layer, T tokens and an alignment of experts' rows. */
typedef struct moe_sizes {
    const moe_layer *layer;
    int64_t tokens, held, listed, up, queries, rows;
} moe_sizes;

moe_sizes moe_sizes_make(const moe_layer *layer, int64_t tokens, int64_t align);

/* One tensor of the layer; shapes are those of moe_layer_tensor. */
moe_tensor_desc moe_tensor_describe(const moe_sizes *sizes, moe_arg tensor);

moe_place moe_tensor_place(moe_arg tensor);

/* True where the layer has it; false of numbers and of what is no tensor. */
bool moe_layer_has(const moe_layer *layer, moe_arg tensor);

/* The last entry of the routing at which a run uses the tensor: MOE_ENTRY_ROUTER where logits may
 * take its place, MOE_ENTRY_GIVEN where it always does. The same of numbers. */
moe_entry moe_tensor_used(const moe_layer *layer, moe_arg tensor);

/* Parts of the description, for every run to ask: what it wants of the tensor by where its experts
 * come from, what the address is a multiple of, and the bytes, which are 0 where the layer has
 * none. */
moe_need moe_tensor_need(const moe_sizes *sizes, moe_arg tensor, moe_entry entry);
unsigned moe_tensor_align(moe_arg tensor);
int64_t moe_sizes_bytes(const moe_sizes *sizes, moe_arg tensor);

/* The dtype of a tensor's elements. */
moe_dtype moe_tensor_dtype_of(const moe_layer *layer, moe_arg tensor);

/* Elements, and bytes, of a tensor whose sizes are all known; 0 where the layer has none. */
int64_t moe_tensor_elements(const moe_tensor_desc *desc);
int64_t moe_tensor_bytes_of(const moe_tensor_desc *desc);

/* True where a run whose routing comes from there reads it, and must be given it. */
bool moe_tensor_is_input(const moe_tensor_desc *desc, moe_entry entry);

/* True of outputs that every caller gives room for or may leave to the workspace; the others are
 * statistics. */
bool moe_tensor_is_result(const moe_tensor_desc *desc);

/* How the table writes its shape, as in "(HELD, UP, D)", and what it says of it. */
const char *moe_tensor_shape_text(moe_arg tensor);
const char *moe_tensor_help(moe_arg tensor);

/* A tensor's pointer in `io`, where it has one. */
const void *moe_io_pointer(const moe_io *io, moe_arg tensor);
void moe_io_set(moe_io *io, moe_arg tensor, const void *pointer);

#endif
