/* tensor.c - the tensors of a layer, from the rows of tensor.def. */
#include "core/tensor.h"

#include "core/layer.h"
#include "core/router.h"
#include "core/rule.h"
#include "core/sized.h"
#include "core/workspace.h"

#include <string.h>

moe_sizes moe_sizes_make(const moe_layer *layer, int64_t tokens, int64_t align) {
    return (moe_sizes){
        .layer = layer, .tokens = tokens, .held = moe_layer_held(layer),
        .listed = moe_layer_listed(layer), .up = moe_layer_up_rows(layer),
        .queries = moe_layer_queries(layer),
        .rows = moe_layer_neurons(layer) ? 0 : moe_workspace_rows(layer, tokens, align),
    };
}

/* Names that rows use for sizes and properties of the layer `l` (of sizes `s`). */
#define T s->tokens
#define D l->d
#define F l->f
#define E l->e
#define K l->k
#define HELD s->held
#define LISTED s->listed
#define UP s->up
#define ROWS s->rows
#define QUERIES s->queries
#define WIDE l->shared.f
#define HEADS l->router.heads
#define KEYS l->router.keys
#define KEY_WIDTH l->router.key_width
#define ANY_SIZE -1
#define GATED moe_layer_gated(l)
#define ROUTES moe_layer_routes(l)
#define ROUTER_BIAS moe_layer_router_bias(l)
#define KEY_BIAS l->router.key_bias
#define PEER moe_layer_rule(l)->keys
#define HASH moe_router_looks_up(&l->router)
#define NOISY (l->router.noise > 0)
#define DRAWS moe_router_draws(&l->router)
#define JITTER (l->router.jitter_input > 0)
#define LOSSES (moe_layer_rule(l)->losses || !ROUTES)
#define NEURONS moe_layer_neurons(l)
#define SHARED_GATED l->shared.gated
#define BIAS(name) (l->bias & MOE_BIAS_##name)

/* Dtypes by the rows' names. */
#define DTYPE_X l->x
#define DTYPE_W l->w
#define DTYPE_R moe_layer_router_dtype(l)
#define DTYPE_F32 MOE_F32
#define DTYPE_I32 MOE_I32
#define DTYPE_U64 MOE_U64

/* A run uses it where the routing's entry is at most this: see moe_entry. */
enum { BY_X = MOE_ENTRY_ROUTER, ROUTED = MOE_ENTRY_LOGITS, ANY = MOE_ENTRY_GIVEN };

/* What is needed where it is used, by entry: whether that is GIVEN matters to some. */
#define NEEDED(entry) MOE_NEED_NEEDED
#define OPTIONAL(entry) MOE_NEED_OPTIONAL
#define ENTERED(entry) ((entry) == MOE_ENTRY_LOGITS ? MOE_NEED_NEEDED : MOE_NEED_UNUSED)
#define GIVEN(entry) ((entry) == MOE_ENTRY_GIVEN ? MOE_NEED_NEEDED : MOE_NEED_OPTIONAL)

#define CALLER(member) offsetof(moe_io, member), MOE_PLACE_CALLER
#define EITHER(member) offsetof(moe_io, member), MOE_PLACE_EITHER
#define OWN 0, MOE_PLACE_OWN

static const struct {
    size_t offset; /* of the pointer in moe_io */
    moe_place place;
} places[MOE_TENSORS] = {
#define MOE_TENSOR(name, role, dtype, place, ...) [MOE_ARG_##name] = {place},
#include "core/tensor.def"
#undef MOE_TENSOR
};

/* The names that callers know: the members of moe_io. */
#undef CALLER
#undef EITHER
#undef OWN
#define CALLER(member) #member
#define EITHER(member) #member
#define OWN NULL
static const char *const members[MOE_TENSORS] = {
#define MOE_TENSOR(name, role, dtype, place, ...) [MOE_ARG_##name] = place,
#include "core/tensor.def"
#undef MOE_TENSOR
};

moe_place moe_tensor_place(moe_arg tensor) { return places[tensor].place; }

bool moe_layer_has(const moe_layer *l, moe_arg tensor) {
    const moe_sizes sizes = {.up = moe_layer_up_rows(l)}, *s = &sizes;
    switch ((int)tensor) {
#define MOE_TENSOR(name, role, dtype, place, file, has, ...)                                       \
    case MOE_ARG_##name: return (void)s, has;
#include "core/tensor.def"
#undef MOE_TENSOR
    }
    return false;
}

moe_entry moe_tensor_used(const moe_layer *l, moe_arg tensor) {
    switch ((int)tensor) {
#define MOE_TENSOR(name, role, dtype, place, file, has, use, ...)                                  \
    case MOE_ARG_##name: return (moe_entry)(use);
#include "core/tensor.def"
#undef MOE_TENSOR
    }
    return MOE_ENTRY_GIVEN;
}

moe_need moe_tensor_need(const moe_sizes *s, moe_arg tensor, moe_entry entry) {
    const moe_layer *l = s->layer;
    switch ((int)tensor) {
#define MOE_TENSOR(name, role, dtype, place, file, has, use, want, ...)                            \
    case MOE_ARG_##name:                                                                           \
        return (has) && (int)entry <= (int)(use) ? want(entry) : MOE_NEED_UNUSED;
#include "core/tensor.def"
#undef MOE_TENSOR
    }
    return MOE_NEED_UNUSED;
}

unsigned moe_tensor_align(moe_arg tensor) {
    static const unsigned char aligns[MOE_TENSORS] = {
#define MOE_TENSOR(name, role, dtype, place, file, has, use, want, bytes, ...)                     \
    [MOE_ARG_##name] = bytes,
#include "core/tensor.def"
#undef MOE_TENSOR
    };
    return aligns[tensor];
}

moe_dtype moe_tensor_dtype_of(const moe_layer *l, moe_arg tensor) {
    switch ((int)tensor) {
#define MOE_TENSOR(name, role, dtype, ...)                                                         \
    case MOE_ARG_##name: return DTYPE_##dtype;
#include "core/tensor.def"
#undef MOE_TENSOR
    }
    return MOE_DTYPE_COUNT;
}

#define LIST(...) {__VA_ARGS__}
static void fill_row(const moe_sizes *s, moe_arg tensor, moe_tensor_desc *out) {
    const moe_layer *l = s->layer;
    switch ((int)tensor) {
#define MOE_TENSOR(name, kind, element, place, key, has, use, want, bytes, dims, sizes, help)      \
    case MOE_ARG_##name: {                                                                         \
        const int64_t list[MOE_MAX_RANK] = LIST sizes;                                             \
        memcpy(out->shape, list, sizeof list);                                                     \
        out->role = MOE_ROLE_##kind, out->dtype = DTYPE_##element, out->file = key;                \
        out->align = bytes, out->rank = dims, out->present = has;                                  \
        return;                                                                                    \
    }
#include "core/tensor.def"
#undef MOE_TENSOR
    }
}

moe_tensor_desc moe_tensor_describe(const moe_sizes *sizes, moe_arg tensor) {
    moe_tensor_desc desc = {.size = sizeof desc, .name = members[tensor],
                            .io_offset = places[tensor].offset};
    fill_row(sizes, tensor, &desc);
    for (moe_entry entry = 0; entry < MOE_ENTRY_COUNT; entry++)
        desc.need[entry] = moe_tensor_need(sizes, tensor, entry);
    return desc;
}

static int64_t product(const int64_t *size, int rank) {
    int64_t elements = 1;
    for (int i = 0; i < rank; i++) elements *= size[i];
    return elements;
}

int64_t moe_sizes_bytes(const moe_sizes *s, moe_arg tensor) {
    const moe_layer *l = s->layer;
    switch ((int)tensor) {
#define MOE_TENSOR(name, kind, element, place, key, has, use, want, bytes, dims, sizes, help)      \
    case MOE_ARG_##name: {                                                                         \
        const int64_t list[MOE_MAX_RANK] = LIST sizes;                                             \
        return (has) ? moe_dtype_bytes(DTYPE_##element, product(list, dims)) : 0;                  \
    }
#include "core/tensor.def"
#undef MOE_TENSOR
    }
    return 0;
}

int64_t moe_tensor_elements(const moe_tensor_desc *desc) {
    return desc->present ? product(desc->shape, desc->rank) : 0;
}

int64_t moe_tensor_bytes_of(const moe_tensor_desc *desc) {
    return moe_dtype_bytes(desc->dtype, moe_tensor_elements(desc));
}

bool moe_tensor_is_input(const moe_tensor_desc *desc, moe_entry entry) {
    if (desc->need[entry] != MOE_NEED_NEEDED) return false;
    return desc->role != MOE_ROLE_OUTPUT || desc->need[MOE_ENTRY_ROUTER] != MOE_NEED_NEEDED;
}

bool moe_tensor_is_result(const moe_tensor_desc *desc) {
    return desc->role == MOE_ROLE_OUTPUT && desc->need[MOE_ENTRY_GIVEN] == MOE_NEED_NEEDED;
}

static const struct {
    const char *shape, *help;
} texts[MOE_TENSORS] = {
#define MOE_TENSOR(name, role, dtype, place, file, has, use, need, align, rank, shape, help)       \
    [MOE_ARG_##name] = {#shape, help},
#include "core/tensor.def"
#undef MOE_TENSOR
};

const char *moe_tensor_shape_text(moe_arg tensor) { return texts[tensor].shape; }
const char *moe_tensor_help(moe_arg tensor) { return texts[tensor].help; }

const void *moe_io_pointer(const moe_io *io, moe_arg tensor) {
    const void *pointer;
    memcpy(&pointer, (const char *)io + places[tensor].offset, sizeof pointer);
    return pointer;
}

void moe_io_set(moe_io *io, moe_arg tensor, const void *pointer) {
    memcpy((char *)io + places[tensor].offset, &pointer, sizeof pointer);
}

moe_status moe_layer_tensor_sized(const moe_layer *given, int64_t tokens, int index, size_t size,
                                  moe_tensor_desc *out) {
    moe_layer read, layer;
    MOE_TRY(moe_sized_read("layer", "moe_layer", given, &read, sizeof read));
    MOE_TRY(moe_layer_settle(&read, &layer));
    if (index < 0 || index >= MOE_CALLER_TENSORS || tokens < 0)
        return moe_fail(MOE_E_NOT_FOUND, "tensor %d of T=%lld: they count from 0 to %d", index,
                        (long long)tokens, MOE_CALLER_TENSORS - 1);
    const moe_sizes sizes = moe_sizes_make(&layer, tokens, 1);
    const moe_tensor_desc desc = moe_tensor_describe(&sizes, (moe_arg)index);
    return moe_sized_write("tensor", "moe_tensor_desc", &desc, sizeof desc, out, size);
}
