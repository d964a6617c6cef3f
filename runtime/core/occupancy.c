/* occupancy.c - how many blocks of a kernel share an SM: the rules of CUDA's occupancy calculator
 * (cuda_occupancy.h) for sm_80 and up. */
#include "core/occupancy.h"

/* A warp's registers are given out in units of 8 a lane, by one of the SM's four parts, which
 * cannot lend any; a block's shared memory in units of 128 bytes, of which 1 KB is the system's. */
enum { LANES = 32, PARTS = 4, REG_UNIT = 8, SMEM_UNIT = 128, SMEM_RESERVED = 1024 };

static int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Of registers alone. A launch is refused where it would not fit if every part had an equal share
 * of the warps. */
static int64_t by_registers(int64_t warps, int64_t regs, const moe_facts *facts) {
    int64_t of_warp = round_up(regs, REG_UNIT) * LANES;
    if (!of_warp) return facts->blocks_sm;
    if (round_up(warps, PARTS) * of_warp > facts->regs_sm) return 0;
    return facts->regs_sm / PARTS / of_warp * PARTS / warps;
}

int64_t moe_occupancy(const moe_kernel *kernel, const moe_facts *facts) {
    int64_t warps = round_up(kernel->block, LANES) / LANES;
    int64_t smem = kernel->smem + kernel->static_smem;
    if (!warps || smem > facts->smem) return 0;
    int64_t blocks = smaller(facts->blocks_sm, facts->threads_sm / (warps * LANES));
    blocks = smaller(blocks, by_registers(warps, kernel->regs, facts));
    return smaller(blocks, facts->smem_sm / round_up(smem + SMEM_RESERVED, SMEM_UNIT));
}
