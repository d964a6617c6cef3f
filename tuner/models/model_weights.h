/* model_weights.h - the weights of one layer of a published model, as a layer takes them.
 *
 * Whatever their names, order and dtype in the files, they come out as moe_io wants them, one
 * expert's piece at a time: nothing but that piece is held in memory. */
#ifndef MOE_MODEL_WEIGHTS_H
#define MOE_MODEL_WEIGHTS_H

#include "models/weight_names.h"

/* What moe_io calls them. A piece is what one expert has of it; the router's and the shared
 * expert's have one piece. */
typedef enum moe_weight_role {
    MOE_WEIGHT_ROUTER,      /* [e,d] in w's dtype */
    MOE_WEIGHT_ROUTER_BIAS, /* [e] f32; of the logits or of the keys, as the layer says */
    MOE_WEIGHT_UP,          /* gated: [2f,d], rows in the layer's layout; else [f,d] */
    MOE_WEIGHT_UP_BIAS,     /* the same without d */
    MOE_WEIGHT_DOWN,        /* [d,f] */
    MOE_WEIGHT_DOWN_BIAS,   /* [d] */
    MOE_WEIGHT_SHARED_UP,   /* gated: [2F,d], rows in the layer's layout; else [F,d] */
    MOE_WEIGHT_SHARED_DOWN, /* [d,F] */
    MOE_WEIGHT_SHARED_GATE, /* [1,d] */
    MOE_WEIGHT_ROLES
} moe_weight_role;

typedef struct moe_model_weights {
    moe_shards *shards;
    moe_layer layer;
    int64_t index; /* of the layer in the model */
    const char *prefix;
    const moe_weight_names *names;
} moe_model_weights;

/* Finds the weights of layer `index` in a file, an index or a folder; `type` is the model's family,
 * NULL if it is not known. Names alone are looked at. MOE_E_NOT_FOUND, MOE_E_UNSUPPORTED (quantised),
 * MOE_E_INVALID, and what moe_shards_open says. */
moe_status moe_model_weights_open(const char *path, const char *type, const moe_layer *layer,
                                  int64_t index, moe_model_weights *out);
void moe_model_weights_close(moe_model_weights *weights);

/* Pieces of a role, and bytes of one. */
int64_t moe_model_weights_pieces(const moe_model_weights *weights, moe_weight_role role);
size_t moe_model_weights_bytes(const moe_model_weights *weights, moe_weight_role role);

/* Reads a piece. MOE_E_NOT_FOUND, MOE_E_INVALID (another shape; a number that the dtype does not
 * hold), MOE_E_UNSUPPORTED (a dtype that is no number), MOE_E_CORRUPT, MOE_E_MEMORY. */
moe_status moe_model_weights_read(moe_model_weights *weights, moe_weight_role role, int64_t piece,
                                  void *out);

#endif
