/* op.h - one step of a layer under a workload: what a template is tuned for.
 *
 * Text: gemm_up t=4096 d=2048 f=768 e=128 k=8 act=swiglu x=bf16 w=bf16 capacity=none bias=none
 * routing=uniform cache=cold. An op keeps only the layer fields that its step depends on, so layers
 * that share a step share its tuned kernels; every other field has the default value. Of a router,
 * the steps behind it know only whether its weights multiply the expert's input (weigh=input). */
#ifndef MOE_OP_H
#define MOE_OP_H

#include "core/layer.h"

typedef enum moe_op_kind {
#define MOE_OP(name, fields, workload, help, args) MOE_OP_##name,
#include "core/op.def"
#undef MOE_OP
    MOE_OP_COUNT
} moe_op_kind;

enum { MOE_PLAIN_OPS = MOE_OP_combine + 1 }; /* the first ops: each one step of a layer by itself */

/* How tokens spread over experts, as the tuner generates it. */
typedef enum moe_routing {
    MOE_ROUTING_UNIFORM, /* iid logits */
    MOE_ROUTING_ZIPF,    /* popularity of expert i ~ 1/(i+1) */
    MOE_ROUTING_ONE,     /* all tokens choose the same k experts */
    MOE_ROUTING_EMPTY,   /* half of the experts get nothing */
    MOE_ROUTING_COUNT
} moe_routing;

typedef enum moe_cache { MOE_CACHE_COLD, MOE_CACHE_WARM, MOE_CACHE_COUNT } moe_cache;

typedef struct moe_op {
    moe_op_kind kind;
    int64_t t; /* tokens */
    moe_layer layer;
    moe_routing routing; /* uniform where the step does not depend on it */
    moe_cache cache;
} moe_op;

enum { MOE_OP_TEXT_SIZE = 512 };

extern const char *const moe_op_names[];      /* by moe_op_kind, NULL-terminated */
extern const char *const moe_routing_names[]; /* by moe_routing */
extern const char *const moe_cache_names[];   /* by moe_cache */

/* The fields of an op's text behind its kind: t, the layer's, weigh, routing, cache. Offsets are
 * those of moe_op. Bit i of a mask is row i. */
extern const moe_field moe_op_fields[];

/* The rows that the op depends on, `t` and `cache` included. */
uint64_t moe_op_mask(const moe_op *op);

/* The step of a layer, with what it does not depend on set to the default. */
moe_op moe_op_make(moe_op_kind kind, const moe_layer *layer, int64_t tokens, moe_routing routing,
                   moe_cache cache);

moe_status moe_op_parse(const char *text, moe_op *out);
void moe_op_print(const moe_op *op, char *text, size_t size);

/* The op's text without kind, t, routing and cache: the database key of its shape. */
void moe_op_shape(const moe_op *op, char *text, size_t size);

/* True where both are written alike. */
bool moe_op_equal(const moe_op *a, const moe_op *b);

moe_status moe_op_kind_parse(const char *name, moe_op_kind *out);

#endif
