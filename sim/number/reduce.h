/* reduce.h - what atomic operations make of a value in memory: for `atom`, `red` and bulk
 * reductions alike. */
#ifndef SIM_REDUCE_H
#define SIM_REDUCE_H

#include <stdbool.h>
#include <stdint.h>

/* ORDER reduction: names in decode_reduce.c */
typedef enum sim_reduce_operation {
    SIM_ADD,
    SIM_MIN,
    SIM_MAX,
    SIM_AND,
    SIM_OR,
    SIM_XOR,
    SIM_EXCH,
    SIM_CAS,
    SIM_INC,
    SIM_DEC
} sim_reduce_operation;

/* ORDER reduction: names in decode_reduce.c */
typedef enum sim_reduce_type {
    SIM_T_u32,
    SIM_T_s32,
    SIM_T_u64,
    SIM_T_s64,
    SIM_T_f32,
    SIM_T_f64,
    SIM_T_f16,
    SIM_T_f16x2,
    SIM_T_bf16,
    SIM_T_bf16x2,
    SIM_T_b32,
    SIM_T_b64,
    SIM_T_b16
} sim_reduce_type;

typedef struct sim_reduction {
    uint8_t operation, type;
    bool flush; /* add.f32 on global memory takes subnormal numbers for zeros */
} sim_reduction;

uint32_t sim_reduce_bytes(sim_reduce_type type);

/* One operation on `bytes` bytes of the host's memory, atomic among all host threads. Returns what
 * was there before; `c` is the value of cas. */
uint64_t sim_reduce(uint8_t *at, uint32_t bytes, sim_reduction reduction, uint64_t b, uint64_t c,
                    bool *changed);

/* May a bulk reduction to global memory do this? (PTX ISA, cp.reduce.async.bulk) */
bool sim_reduce_bulk_legal(sim_reduction reduction);

#endif
