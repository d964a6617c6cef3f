/* layer.h - the layer's fields and names, for those who loop over them. */
#ifndef MOE_LAYER_H
#define MOE_LAYER_H

#include "core/dtype.h"
#include "core/text.h"

/* A token, or a head of it, has MOE_MAX_TOPK experts where it chooses them; MOE_MAX_SLOTS are those of
 * all heads, or where experts choose the token. */
enum { MOE_MAX_WIDTH = 1 << 20, MOE_MAX_EXPERTS = 2048, MOE_MAX_TOPK = 32, MOE_MAX_SLOTS = 256,
       MOE_MAX_SHARED = 16,
       MOE_MAX_NEURONS = 1 << 20, MOE_MAX_KEYS = 1024, MOE_MAX_KEY_WIDTH = 1024 };

/* The bits of a field mask. */
enum {
#define MOE_LAYER_FIELD(constant, ...) MOE_LAYER_##constant,
#include "core/layer.def"
#undef MOE_LAYER_FIELD
    MOE_LAYER_FIELDS
};

extern const moe_field moe_layer_fields[];
extern const char *const moe_act_names[];    /* by moe_act_kind; swiglu_clamp without its numbers */
extern const char *const moe_layout_names[]; /* by moe_layout */
extern const char *const moe_priority_names[]; /* by moe_priority */
extern const char *const moe_drop_names[];   /* by moe_drop */
extern const char *const moe_router_dtype_names[]; /* by moe_router_dtype */
extern const moe_field_type moe_field_act, moe_field_bias;
extern const moe_field_type moe_field_shared; /* moe_shared */
extern const moe_field_type moe_field_act, moe_field_capacity, moe_field_bias;

/* True where an activation multiplies a gate with an up projection. */
bool moe_act_gated(moe_act_kind kind);

/* MOE_E_INVALID or MOE_E_UNSUPPORTED with the reason, unless every limit of the layer holds. */
moe_status moe_layer_check(const moe_layer *layer);

/* The same but for what the router asks of the other fields. */
moe_status moe_layer_check_fields(const moe_layer *layer);

/* True where the layer has a router. */
bool moe_layer_routes(const moe_layer *layer);

/* True where the router has a bias, of its logits or of its keys. */
bool moe_layer_router_bias(const moe_layer *layer);

/* True where experts are single neurons, f = 1: they are looked up one by one, without rows. */
bool moe_layer_neurons(const moe_layer *layer);

/* Rows of the router's weight: e, or what the queries of all heads have; 0 without a router. */
int64_t moe_layer_queries(const moe_layer *layer);

/* Logits of a token: e, or products of the queries' halves with keys, [heads][2][keys]. */
int64_t moe_layer_logits(const moe_layer *layer);

/* Elements of router_keys; 0 where there are none. */
int64_t moe_layer_keys(const moe_layer *layer);

/* Multiplications that the router's logits take a token. */
int64_t moe_layer_router_work(const moe_layer *layer);

/* How many a token, or a head of it, chooses from, and how many it takes: e and k, or a half's keys
 * and a head's share of k. */
int64_t moe_layer_choices(const moe_layer *layer);
int64_t moe_layer_picks(const moe_layer *layer);

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
