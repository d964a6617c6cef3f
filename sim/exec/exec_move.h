/* exec_move.h - elements between memory and registers, by element and register type. */
#ifndef SIM_EXEC_MOVE_H
#define SIM_EXEC_MOVE_H

#include "exec/exec_memory.h"

/* Copies elements of type T at `at` (an expression of lane i) to registers of type R. */
#define LOAD(T, R, at)                                                                             \
    for (u32 k = 0; k < count; k++) {                                                              \
        R *d = LANES_OF(R, warp, in->list[k]);                                                     \
        if (likely(lanes == ~0u)) {                                                                \
            for (u32 i = 0; i < SIM_LANES; i++) d[i] = (R)((const T *)(const void *)(at))[k];      \
        } else {                                                                                   \
            FOR_LANES(i, lanes) d[i] = (R)((const T *)(const void *)(at))[k];                      \
        }                                                                                          \
    }

#define STORE(T, R, at)                                                                            \
    for (u32 k = 0; k < count; k++) {                                                              \
        const R *d = LANES_OF(const R, warp, in->list[k]);                                         \
        if (likely(lanes == ~0u)) {                                                                \
            for (u32 i = 0; i < SIM_LANES; i++) ((T *)(void *)(at))[k] = (T)d[i];                  \
        } else {                                                                                   \
            FOR_LANES(i, lanes) ((T *)(void *)(at))[k] = (T)d[i];                                  \
        }                                                                                          \
    }

/* What BY_TYPE picks by: element, register, and whether the element is signed. */
#define MOVE_TYPE(element, width, is_signed) ((element) * 8 + (width) * 2 + (is_signed))
#define MOVE_TYPE_OF(in)                                                                           \
    MOVE_TYPE((in)->aux & MEMORY_ELEMENT, (in)->aux >> MEMORY_REGISTER_SHIFT & REGISTER_MASK,      \
              !!((in)->aux & MEMORY_SIGNED))

#define BY_TYPE(MOVE, at)                                                                          \
    switch (MOVE_TYPE_OF(in)) {                                                                    \
    case MOVE_TYPE(ELEMENT_8, REGISTER_16, 0): MOVE(u8, u16, at) break;                            \
    case MOVE_TYPE(ELEMENT_8, REGISTER_16, 1): MOVE(s8, u16, at) break;                            \
    case MOVE_TYPE(ELEMENT_8, REGISTER_32, 0): MOVE(u8, u32, at) break;                            \
    case MOVE_TYPE(ELEMENT_8, REGISTER_32, 1): MOVE(s8, u32, at) break;                            \
    case MOVE_TYPE(ELEMENT_8, REGISTER_64, 0): MOVE(u8, u64, at) break;                            \
    case MOVE_TYPE(ELEMENT_8, REGISTER_64, 1): MOVE(s8, u64, at) break;                            \
    case MOVE_TYPE(ELEMENT_16, REGISTER_16, 0):                                                    \
    case MOVE_TYPE(ELEMENT_16, REGISTER_16, 1): MOVE(u16, u16, at) break;                          \
    case MOVE_TYPE(ELEMENT_16, REGISTER_32, 0): MOVE(u16, u32, at) break;                          \
    case MOVE_TYPE(ELEMENT_16, REGISTER_32, 1): MOVE(s16, u32, at) break;                          \
    case MOVE_TYPE(ELEMENT_16, REGISTER_64, 0): MOVE(u16, u64, at) break;                          \
    case MOVE_TYPE(ELEMENT_16, REGISTER_64, 1): MOVE(s16, u64, at) break;                          \
    case MOVE_TYPE(ELEMENT_32, REGISTER_32, 0):                                                    \
    case MOVE_TYPE(ELEMENT_32, REGISTER_32, 1): MOVE(u32, u32, at) break;                          \
    case MOVE_TYPE(ELEMENT_32, REGISTER_64, 0): MOVE(u32, u64, at) break;                          \
    case MOVE_TYPE(ELEMENT_32, REGISTER_64, 1): MOVE(s32, u64, at) break;                          \
    default: MOVE(u64, u64, at) break;                                                             \
    }

static inline void load_from(sim_warp *warp, const sim_instruction *in, u32 lanes,
                             const u8 *const *at) {
    u32 count = memory_count(in);

    BY_TYPE(LOAD, at[i])
}

/* All lanes, one behind the other, count elements of T each. */
#define LOAD_PACKED(T, n)                                                                          \
    for (u32 k = 0; k < n; k++) {                                                                  \
        T *d = LANES_OF(T, warp, in->list[k]);                                                     \
        for (u32 i = 0; i < SIM_LANES; i++) d[i] = ((const T *)(const void *)first)[i * n + k];    \
    }

#define STORE_PACKED(T, n)                                                                         \
    for (u32 k = 0; k < n; k++) {                                                                  \
        const T *d = LANES_OF(const T, warp, in->list[k]);                                         \
        for (u32 i = 0; i < SIM_LANES; i++) ((T *)(void *)first)[i * n + k] = d[i];                \
    }

/* Picks a loop for the frequent shapes; falls through to the general one. */
#define PACKED(MOVE)                                                                               \
    switch (lanes == ~0u ? in->aux & MEMORY_SHAPE_MASK : 0) {                                      \
    case MEMORY_SHAPE(ELEMENT_16, 1, REGISTER_16): MOVE(u16, 1) return;                            \
    case MEMORY_SHAPE(ELEMENT_32, 1, REGISTER_32): MOVE(u32, 1) return;                            \
    case MEMORY_SHAPE(ELEMENT_32, 2, REGISTER_32): MOVE(u32, 2) return;                            \
    case MEMORY_SHAPE(ELEMENT_32, 4, REGISTER_32): MOVE(u32, 4) return;                            \
    case MEMORY_SHAPE(ELEMENT_64, 1, REGISTER_64): MOVE(u64, 1) return;                            \
    case MEMORY_SHAPE(ELEMENT_64, 2, REGISTER_64): MOVE(u64, 2) return;                            \
    default: break;                                                                                \
    }

static inline void load_span(sim_warp *warp, const sim_instruction *in, u32 lanes, const u8 *first,
                             u32 stride) {
    u32 count = memory_count(in);

    PACKED(LOAD_PACKED)
    BY_TYPE(LOAD, first + i * stride)
}

static inline void load_uniform(sim_warp *warp, const sim_instruction *in, u32 lanes,
                                const u8 *at) {
    u32 count = memory_count(in);

    BY_TYPE(LOAD, at)
}

static inline void store_to(sim_warp *warp, const sim_instruction *in, u32 lanes, u8 *const *at) {
    u32 count = memory_count(in);

    BY_TYPE(STORE, at[i])
}

static inline void store_span(sim_warp *warp, const sim_instruction *in, u32 lanes, u8 *first,
                              u32 stride) {
    u32 count = memory_count(in);

    PACKED(STORE_PACKED)
    BY_TYPE(STORE, first + i * stride)
}

/* The bytes that each lane stores, one lane behind the other. */
static inline void stored_bytes(sim_warp *warp, const sim_instruction *in, u32 lanes, u8 *values) {
    store_span(warp, in, lanes, values, memory_bytes(in));
}

#endif
