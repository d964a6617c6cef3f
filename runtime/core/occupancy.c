/* occupancy.c - how many blocks of a compiled kernel share an SM. */
#include "core/occupancy.h"

/* Registers are given out to warps in units of 8 a lane; a block's shared memory in units of 128
 * bytes, of which 1 KB is the system's (CUDA's occupancy calculator, sm_80 and up). */
enum { LANES = 32, REG_UNIT = 8, SMEM_UNIT = 128, SMEM_RESERVED = 1024 };

static int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t moe_occupancy(const moe_kernel *kernel, const moe_facts *facts) {
    int64_t threads = round_up(kernel->block, LANES);
    int64_t regs = threads * round_up(kernel->regs, REG_UNIT);
    int64_t smem = round_up(kernel->smem + kernel->static_smem + SMEM_RESERVED, SMEM_UNIT);
    int64_t blocks = smaller(facts->blocks_sm, facts->threads_sm / threads);
    if (regs) blocks = smaller(blocks, facts->regs_sm / regs);
    return smaller(blocks, facts->smem_sm / smem);
}
