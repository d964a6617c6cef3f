/* aux.h - how the instructions of some groups use sim_instruction.aux: what the decoder writes
 * there and the handlers read. */
#ifndef SIM_AUX_H
#define SIM_AUX_H

#include "decode/code.h"

/* A predicate operand with this bit is negated. */
enum { SIM_PREDICATE_NOT = 1 << 30 };

/* ---- memory */

/* aux of a memory instruction: log2 of the element's bytes, elements, log2 of the register's bytes,
 * and flags. */
enum {
    MEMORY_ELEMENT = 7,     /* bits 0-2 */
    MEMORY_COUNT_SHIFT = 3, /* bits 3-6 */
    MEMORY_COUNT = 15,
    MEMORY_REGISTER_SHIFT = 7, /* bits 7-8: log2 bytes - 1 */
    MEMORY_SIGNED = 1 << 9,
    MEMORY_STRONG = 1 << 10,
    MEMORY_ACQUIRE = 1 << 11,
    MEMORY_RELEASE = 1 << 12,
    MEMORY_CACHED = 1 << 13,
    MEMORY_NARROW = 1 << 14, /* the address register has 32 bits */
};

/* Widths of elements and registers as they stand there, and a shape of them. */
enum { ELEMENT_8, ELEMENT_16, ELEMENT_32, ELEMENT_64 };
enum { REGISTER_16, REGISTER_32, REGISTER_64, REGISTER_MASK };
#define MEMORY_SHAPE(element, count, width)                                                        \
    ((uint32_t)(element) | (uint32_t)(count) << MEMORY_COUNT_SHIFT |                               \
     (uint32_t)(width) << MEMORY_REGISTER_SHIFT)
#define MEMORY_SHAPE_MASK MEMORY_SHAPE(MEMORY_ELEMENT, MEMORY_COUNT, REGISTER_MASK)

static inline uint32_t memory_element(const sim_instruction *in) {
    return 1u << (in->aux & MEMORY_ELEMENT);
}

static inline uint32_t memory_count(const sim_instruction *in) {
    return in->aux >> MEMORY_COUNT_SHIFT & MEMORY_COUNT;
}

static inline uint32_t memory_bytes(const sim_instruction *in) {
    return memory_element(in) * memory_count(in);
}

/* e of atom, red and bulk reductions: a sim_reduce_operation and a sim_reduce_type. */
#define REDUCTION(operation, type) ((operation) | (type) << 8)
#define REDUCTION_OPERATION(in) ((uint8_t)((in)->e & 0xff))
#define REDUCTION_TYPE(in) ((uint8_t)((in)->e >> 8))

/* aux of ldmatrix and stmatrix, besides the flags of addresses. */
enum { MATRIX_GENERIC = 1 << 16 };

/* ---- mbarriers, bulk copies, wgmma */

/* aux of instructions on mbarriers and bulk copies, besides the flags of addresses. */
enum {
    MBARRIER_EXPECT = 1 << 16,
    MBARRIER_NO_ARRIVAL = 1 << 17,
    MBARRIER_STATE = 1 << 18,
    BULK_STORE = 1 << 16,
    BULK_TENSOR = 1 << 17,
    BULK_MULTICAST = 1 << 18, /* list[f]: the mask of blocks */
    BULK_REDUCE = 1 << 19,    /* e: REDUCTION; a tensor's type is its map's */
    BULK_READ = 1 << 20,      /* of a wait: only for the sources */
};

/* aux of wgmma. */
enum {
    WGMMA_BRAIN = 1, /* bf16, else f16 */
    WGMMA_NEGATE_A = 2,
    WGMMA_NEGATE_B = 4,
    WGMMA_TRANSPOSE_A = 8, /* MN-major, in shared memory */
    WGMMA_TRANSPOSE_B = 16,
};

/* Addresses of shared memory in a cluster: the block's rank + 1 stands above the offset. */
enum { CLUSTER_SHIFT = 24, CLUSTER_OFFSET = (1 << CLUSTER_SHIFT) - 1 };

/* ---- conversions */

#define CONVERT_TYPES                                                                              \
    CONVERT_TYPE(u8)                                                                               \
    CONVERT_TYPE(s8)                                                                               \
    CONVERT_TYPE(u16) CONVERT_TYPE(s16) CONVERT_TYPE(u32) CONVERT_TYPE(s32) CONVERT_TYPE(u64)      \
        CONVERT_TYPE(s64) CONVERT_TYPE(f16) CONVERT_TYPE(bf16) CONVERT_TYPE(f32) CONVERT_TYPE(f64)

typedef enum convert_type {
#define CONVERT_TYPE(name) CONVERT_##name,
    CONVERT_TYPES
#undef CONVERT_TYPE
        CONVERT_TYPE_COUNT
} convert_type;

enum { CONVERT_FIRST_FLOAT = CONVERT_f16 };
enum { CONVERT_EVEN, CONVERT_ZERO, CONVERT_DOWN, CONVERT_UP };

/* aux of a conversion: the source type in bits 0-3, then */
enum {
    CONVERT_TYPE_MASK = 15,
    CONVERT_TO_SHIFT = 4,
    CONVERT_ROUND_SHIFT = 8,          /* 2 bits */
    CONVERT_FROM_REGISTER_SHIFT = 10, /* log2 bytes - 1 */
    CONVERT_TO_REGISTER_SHIFT = 12,
    CONVERT_SAT = 1 << 14,
    CONVERT_FTZ = 1 << 15,
    CONVERT_WHOLE = 1 << 16, /* to a whole number in the same type */
};

#endif
