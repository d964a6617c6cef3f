/* exec_memory.h - where the lanes of a memory instruction go, checked. */
#ifndef SIM_EXEC_MEMORY_H
#define SIM_EXEC_MEMORY_H

#include "exec/exec_shared.h"

/* Where the lanes go. `lanes` are those that may; faulty ones have been reported and taken out. */
typedef struct target {
    u32 lanes;
    bool span;    /* lane i is at first + i * bytes, for all 32 */
    bool uniform; /* all are at first */
    u8 *first;
    sim_allocation *allocation; /* of first, where span or uniform */
    u64 offset;                 /* of first, in its allocation or in shared memory */
    u64 address[SIM_LANES];     /* global address, or offset in shared memory */
} target;

typedef enum sim_sample { SAMPLE_LOAD, SAMPLE_STORE, SAMPLE_ATOMIC, SAMPLE_SHARED } sim_sample;

/* address = register + imm for every lane; those that are not in exec repeat the first that is. */
static inline void lane_addresses(const sim_warp *warp, const sim_instruction *in, u32 exec,
                                  u64 *address) {
    if (in->aux & MEMORY_NARROW) {
        const u32 *base = LANES_OF(const u32, warp, in->a);
        for (int i = 0; i < SIM_LANES; i++) address[i] = (u32)(base[i] + (u32)in->imm);
    } else {
        const u64 *base = LANES_OF(const u64, warp, in->a);
        for (int i = 0; i < SIM_LANES; i++) address[i] = base[i] + (u64)in->imm;
    }
    if (exec == ~0u) return;
    u64 fill = address[first_lane(exec)];
    for (int i = 0; i < SIM_LANES; i++) address[i] = exec >> i & 1 ? address[i] : fill;
}

/* The extremes of the addresses, and whether they follow one another. */
typedef struct spread {
    u64 low, high, bits;
    bool contiguous;
} spread;

static inline spread address_spread(const u64 *address, u32 bytes) {
    u64 low = ~0ull, high = 0, bits = 0, gap = 0;

    for (int i = 0; i < SIM_LANES; i++) {
        low = address[i] < low ? address[i] : low;
        high = address[i] > high ? address[i] : high;
        bits |= address[i];
        gap |= address[i] ^ (address[0] + (u64)i * bytes);
    }
    return (spread){low, high, bits, gap == 0};
}

/* How many lanes from `lane` on are in `lanes` and follow one another in memory. */
static inline u32 run_length(const u64 *address, u32 lanes, u32 lane, u32 bytes) {
    u32 n = 1;

    while (lane + n < SIM_LANES && (lanes >> (lane + n) & 1) &&
           address[lane + n] == address[lane] + (u64)n * bytes)
        n++;
    return n;
}

/* FOR_RUNS(lane, n, lanes, address, bytes): like FOR_LANES, a run at a time. */
#define FOR_RUNS(lane, n, lanes, address, bytes)                                                   \
    for (u32 lane##_left_ = (lanes), lane = 0, n = 0;                                              \
         lane##_left_ && (lane = (u32)__builtin_ctz(lane##_left_),                                 \
                         n = run_length(address, lane##_left_, lane, bytes), 1);                   \
         lane##_left_ &= ~(u32)(((1ull << n) - 1) << lane))

/* Resolve the lanes of an access of `bytes` each. False: none is left. `what`: "load", "store",
 * ... */
bool SIM_EXEC(target_global)(sim_warp *warp, const sim_instruction *in, u32 exec, u32 bytes,
                             const char *what, target *out);
bool SIM_EXEC(target_shared)(sim_warp *warp, const sim_instruction *in, u32 exec, u32 bytes,
                             const char *what, target *out);

/* Counts what an access costs; see counters.h. */
void SIM_EXEC(count_global)(sim_warp *warp, const target *t, u32 bytes, sim_sample kind);
void SIM_EXEC(count_shared)(sim_warp *warp, const target *t, u32 bytes);

/* Reports bytes of a global range that nobody wrote. */
void SIM_EXEC(check_written)(sim_warp *warp, const sim_instruction *in, const sim_range *range);

static inline u8 *target_pointer(const sim_warp *warp, const target *t, u32 lane) {
    sim_allocation *a = sim_allocation_at(warp->block->launch->memory, t->address[lane]);

    return a->bytes + (t->address[lane] & ((1ull << SIM_ADDRESS_SHIFT) - 1));
}

#endif
