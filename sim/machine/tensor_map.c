/* tensor_map.c - encodes tensors, as strictly as the driver does. */
#include "machine/tensor_map.h"

#include "core/status.h"

#include <string.h>

_Static_assert(sizeof(sim_tensor_map) <= MOE_TENSOR_MAP_SIZE, "a map has 128 bytes");

/* One dimension. The limits are those that the driver's manual gives for cuTensorMapEncodeTiled. */
static moe_status check_dimension(const moe_tensor_view *v, int i) {
    if (v->size[i] < 1 || v->size[i] > UINT64_C(1) << 32)
        return moe_fail(MOE_E_INVALID, "dimension %d has %llu elements; 1 to 2^32 are possible", i,
                        (unsigned long long)v->size[i]);
    if (v->box[i] < 1 || v->box[i] > 256)
        return moe_fail(MOE_E_INVALID, "dimension %d of the box has %u elements; 1 to 256 are "
                                       "possible", i, v->box[i]);
    if (i && (v->stride[i] % 16 || v->stride[i] >= UINT64_C(1) << 40))
        return moe_fail(MOE_E_INVALID, "stride %d is %llu bytes: no multiple of 16 below 2^40", i,
                        (unsigned long long)v->stride[i]);
    return MOE_OK;
}

static moe_status check(const moe_tensor_view *v) {
    uint64_t inner = (uint64_t)v->box[0] * moe_dtype_size(v->dtype);

    if (v->rank < 1 || v->rank > SIM_TENSOR_RANK)
        return moe_fail(MOE_E_INVALID, "a tensor has 1 to 5 dimensions, not %d", v->rank);
    if (v->address % 16)
        return moe_fail(MOE_E_INVALID, "a tensor's address is a multiple of 16 bytes");
    for (int i = 0; i < v->rank; i++) MOE_TRY(check_dimension(v, i));
    if (inner % 16)
        return moe_fail(MOE_E_INVALID, "the box is %llu bytes wide: no multiple of 16",
                        (unsigned long long)inner);
    if (v->swizzle && inner > (uint64_t)v->swizzle)
        return moe_fail(MOE_E_INVALID, "the box is %llu bytes wide, and the swizzle %d",
                        (unsigned long long)inner, v->swizzle);
    return MOE_OK;
}

moe_status sim_tensor_encode(const moe_tensor_view *view, void *map) {
    MOE_TRY(check(view));
    sim_tensor_map made = {
        .magic = SIM_TENSOR_MAGIC,
        .address = view->address,
        .rank = (uint8_t)view->rank,
        .element = (uint8_t)moe_dtype_size(view->dtype),
        .swizzle = (uint8_t)view->swizzle,
        .dtype = (uint8_t)view->dtype,
    };
    for (int i = 0; i < SIM_TENSOR_RANK; i++) {
        bool used = i < view->rank;
        made.size[i] = used ? (uint32_t)(view->size[i] - 1) : 0; /* less one: 2^32 fits */
        made.box[i] = used ? (uint16_t)view->box[i] : 1;
        made.stride[i] = used ? view->stride[i] : 0;
    }
    memset(map, 0, MOE_TENSOR_MAP_SIZE);
    memcpy(map, &made, sizeof made);
    return MOE_OK;
}

uint32_t sim_tensor_box_bytes(const sim_tensor_map *map) {
    uint32_t bytes = map->element;

    for (int i = 0; i < SIM_TENSOR_RANK; i++) bytes *= map->box[i];
    return bytes;
}
