/* model_weights.h - the weights of one layer of a published model, as a layer takes them.
 *
 * Whatever their names, order and dtype in the files, they come out as moe_io wants them, one
 * expert's piece at a time: nothing but that piece is held in memory. */
#ifndef MOE_MODEL_WEIGHTS_H
#define MOE_MODEL_WEIGHTS_H

#include "core/tensor.h"
#include "models/weight_names.h"

typedef struct moe_model_weights {
    moe_shards *shards;
    moe_layer layer; /* with the dtype that the router has in the files */
    int64_t shared; /* width of the shared expert in the files; rows up to the layer's are zero */
    int64_t index;  /* of the layer in the model */
    const char *rounded; /* type of experts' weights that the layer's w does not hold; else NULL */
    const char *prefix;
    const moe_weight_names *names;
} moe_model_weights;

/* Finds the weights of layer `index` in a file, an index or a folder; `type` is the model's family,
 * NULL if it is not known. Names, shapes and dtypes alone are looked at. MOE_E_NOT_FOUND,
 * MOE_E_UNSUPPORTED (quantised; two layouts that both may be meant; tensors that the layer has no
 * use for), MOE_E_INVALID, and what moe_shards_open says. */
moe_status moe_model_weights_open(const char *path, const char *type, const moe_layer *layer,
                                  int64_t index, moe_model_weights *out);
void moe_model_weights_close(moe_model_weights *weights);

/* True where models have such a tensor. */
bool moe_model_weights_hold(const moe_model_weights *weights, moe_arg tensor);

/* Pieces of a tensor, and bytes of one. A piece is what one expert has of it; the router's and the
 * shared expert's tensors have one piece. Shapes are those of moe_io without experts. */
int64_t moe_model_weights_pieces(const moe_model_weights *weights, moe_arg tensor);
size_t moe_model_weights_bytes(const moe_model_weights *weights, moe_arg tensor);

/* Reads a piece. MOE_E_NOT_FOUND, MOE_E_INVALID (another shape; a number that the dtype does not
 * hold), MOE_E_UNSUPPORTED (a dtype that is no number), MOE_E_CORRUPT, MOE_E_MEMORY. */
moe_status moe_model_weights_read(moe_model_weights *weights, moe_arg tensor, int64_t piece,
                                  void *out);

#endif
