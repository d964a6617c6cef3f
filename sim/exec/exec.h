/* exec.h - what instruction handlers are made of.
 *
 * The exec_*.c files are compiled once for each instruction set of the host (sources.cmake); names
 * that they export go through SIM_EXEC so that the copies do not clash. simd.c picks at run
 * time. */
#ifndef SIM_EXEC_H
#define SIM_EXEC_H

#include "decode/aux.h"
#include "machine/engine.h"
#include "number/number.h"

#ifndef SIM_ISA
#define SIM_ISA base
#endif
#define SIM_EXEC_JOIN2(name, isa) name##_##isa
#define SIM_EXEC_JOIN(name, isa) SIM_EXEC_JOIN2(name, isa)
#define SIM_EXEC(name) SIM_EXEC_JOIN(name, SIM_ISA)

#define SIM_OP(id, class)                                                                          \
    int SIM_EXEC(sim_op_##id)(sim_warp * warp, const sim_instruction *in, uint32_t exec);
#include "decode/oplist.def"
#undef SIM_OP

void SIM_EXEC(sim_warp_run)(sim_warp *warp, uint64_t budget);
extern const sim_handler SIM_EXEC(sim_handler_table)[SIM_OP_COUNT];

#define HANDLER(id)                                                                                \
    int SIM_EXEC(sim_op_##id)(sim_warp * warp, const sim_instruction *in, uint32_t exec)

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* ---- registers */

static inline void *operand(const sim_warp *warp, int32_t offset) {
    return warp->base[(u32)offset >> 31] + (offset & 0x7fffffff);
}

#define LANES_OF(type, warp, offset) ((type *)__builtin_assume_aligned(operand(warp, offset), 64))

static inline u32 *predicate(const sim_warp *warp, int32_t offset) {
    return operand(warp, offset);
}

static inline u32 predicate_value(const sim_warp *warp, int32_t offset) {
    u32 value = *predicate(warp, offset & ~SIM_PREDICATE_NOT);

    return offset & SIM_PREDICATE_NOT ? ~value : value;
}

static inline void predicate_set(sim_warp *warp, int32_t offset, u32 exec, u32 value) {
    u32 *p = predicate(warp, offset);

    *p = (*p & ~exec) | (value & exec);
}

static inline int first_lane(u32 mask) {
    return __builtin_ctz(mask);
}

#define FOR_LANES(lane, mask)                                                                      \
    for (u32 lane##_left_ = (mask), lane = 0;                                                      \
         lane##_left_ && (lane = (u32)__builtin_ctz(lane##_left_), 1);                             \
         lane##_left_ &= lane##_left_ - 1)

static inline u32 instruction_pc(const sim_warp *warp, const sim_instruction *in) {
    return (u32)(in - warp->block->kernel->code);
}

#endif
