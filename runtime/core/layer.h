/* layer.h - the layer's fields and names, for those who loop over them. */
#ifndef MOE_LAYER_H
#define MOE_LAYER_H

#include "core/act.h"
#include "core/capacity.h"
#include "core/dtype.h"
#include "core/rule.h"

enum { MOE_MAX_WIDTH = 1 << 20, MOE_MAX_SHARED = 16 };

/* The bits of a field mask. */
enum {
#define MOE_LAYER_FIELD(constant, ...) MOE_LAYER_##constant,
#include "core/layer.def"
#undef MOE_LAYER_FIELD
    MOE_LAYER_FIELDS
};

extern const moe_field moe_layer_fields[];
extern const char *const moe_layout_names[]; /* by moe_layout */
extern const char *const moe_priority_names[]; /* by moe_priority */
extern const char *const moe_drop_names[];   /* by moe_drop */
extern const char *const moe_router_dtype_names[]; /* by moe_router_dtype */
extern const moe_field_type moe_field_bias;   /* unsigned, a set of MOE_BIAS_* */
extern const moe_field_type moe_field_shared; /* moe_shared */

/* MOE_E_INVALID or MOE_E_UNSUPPORTED with the reason, unless the layer has a text that reads back:
 * then every limit holds. */
moe_status moe_layer_check(const moe_layer *layer);

/* The same, and the layer that the text says: members that do not show in it are as parsing leaves
 * them, whatever they were. */
moe_status moe_layer_settle(const moe_layer *layer, moe_layer *out);

/* The limits of fields by themselves, which are also those of an op's: not what a router asks. */
moe_status moe_layer_check_fields(const moe_layer *layer);

/* True where the router has a bias, of its logits or of its keys. */
bool moe_layer_router_bias(const moe_layer *layer);

/* True where experts are single neurons, f = 1: they are looked up one by one, without rows. */
bool moe_layer_neurons(const moe_layer *layer);

/* The dtype of the router's weight. */
moe_dtype moe_layer_router_dtype(const moe_layer *layer);

/* Experts that the device chooses rows for: `local`, or all e. */
int64_t moe_layer_held(const moe_layer *layer);

/* Kernels see a shared expert of width n*f as n experts of width f, each with all tokens. */
int64_t moe_layer_shared_experts(const moe_layer *layer);

/* Experts in index maps: those held, then the shared ones. */
int64_t moe_layer_listed(const moe_layer *layer);

/* Rows of up weights an expert: 2f where gated, 0 where there are none, else f. */
int64_t moe_layer_up_rows(const moe_layer *layer);

#endif
