/* tensor_map.h - tensor maps of the simulated GPU: an encoding of its own in the same 128 bytes. */
#ifndef SIM_TENSOR_MAP_H
#define SIM_TENSOR_MAP_H

#include "device/device.h"

enum { SIM_TENSOR_RANK = 5 };

typedef struct sim_tensor_map {
    uint64_t magic;
    uint64_t address;
    uint64_t stride[SIM_TENSOR_RANK]; /* bytes */
    uint32_t size[SIM_TENSOR_RANK];   /* elements */
    uint16_t box[SIM_TENSOR_RANK];
    uint8_t rank, element, swizzle; /* bytes of an element; of the swizzle */
    uint8_t dtype;                  /* moe_dtype */
} sim_tensor_map;

#define SIM_TENSOR_MAGIC 0x70616d726f736e74ull

/* Encodes with the checks of cuTensorMapEncodeTiled. MOE_E_INVALID names the limit. */
moe_status sim_tensor_encode(const moe_tensor_view *view, void *map);

/* Bytes that one copy moves, those outside of the tensor included. */
uint32_t sim_tensor_box_bytes(const sim_tensor_map *map);

/* Where a byte of a box lies in shared memory: bits 4-6 of the address are flipped by bits 7-9, as
 * many of them as the swizzle is wide (PTX ISA, "Swizzling modes"). */
static inline uint32_t sim_swizzle(uint32_t address, uint32_t bytes) {
    uint32_t mask = bytes ? bytes / 16 - 1 : 0;

    return address ^ (address >> 7 & mask) << 4;
}

#endif
