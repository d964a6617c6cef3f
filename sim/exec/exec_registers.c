/* exec_registers.c - setmaxnreg: warps give registers back to a pool of the block, and take more.
 *
 * A thread starts with what the register file has for each of the block's threads, but for no more
 * than the largest setmaxnreg.inc of the kernel: so ptxas 13.0 does it under
 * __launch_bounds__(threads, 1). */
#include "exec/exec.h"
#include "order/async.h"
#include "order/polling.h"

enum { LEAST = 24, MOST = 256, UNIT = 8, GROUP_WARPS = 4 };

/* The largest that the kernel asks for; MOST where it does not. */
static u32 largest_wanted(const sim_kernel *k) {
    s64 most = 0;

    for (u32 pc = 0; pc < k->count; pc++)
        if (k->code[pc].op == SIM_OP_setmaxnreg && (k->code[pc].aux & 1) && k->code[pc].imm > most)
            most = k->code[pc].imm;
    return most ? (u32)most : MOST;
}

static sim_register_pool *pool_of(sim_warp *warp) {
    sim_async *async = sim_async_of(warp->block);
    const sim_block *block = warp->block;
    u64 file = (u64)block->launch->context->facts.regs_sm;

    if (!async || async->registers.open) return async ? &async->registers : NULL;
    u64 share = file / (block->warps * SIM_LANES) / UNIT * UNIT;
    u32 wanted = largest_wanted(block->kernel);
    async->registers.open = true;
    for (u32 w = 0; w < block->warps; w++)
        async->registers.warp[w].has = share < wanted ? (u32)share : wanted;
    return &async->registers;
}

static bool is_legal(sim_warp *warp, const sim_instruction *in, u32 exec) {
    if (exec == ~0u && in->imm % UNIT == 0 && in->imm >= LEAST && in->imm <= MOST) return true;
    sim_find(warp, SIM_FINDING_collective, in, UINT32_MAX,
             "setmaxnreg to %d by lanes 0x%08x of block %u warp %u (%%p): all lanes, and a "
             "multiple of 8 from 24 to 256",
             (int)in->imm, exec, warp->block->index, warp->index);
    return false;
}

/* A warp of the group that has come as often does the same now. */
static void check_group(sim_warp *warp, const sim_instruction *in, const sim_register_pool *pool) {
    const struct sim_register_share *own = &pool->warp[warp->index];
    u32 first = warp->index / GROUP_WARPS * GROUP_WARPS;

    for (u32 w = first; w < first + GROUP_WARPS && w < warp->block->warps; w++) {
        const struct sim_register_share *other = &pool->warp[w];
        const sim_instruction *code = warp->block->kernel->code;
        if (other->changes != own->changes || w == warp->index) continue;
        if (code[other->pc].imm == in->imm) continue;
        sim_find(warp, SIM_FINDING_collective, in, other->pc,
                 "block %u warp %u sets its registers to %d (%%p), and warp %u of its warpgroup to "
                 "%d (%%q)",
                 warp->block->index, warp->index, (int)in->imm, w, (int)code[other->pc].imm);
        return;
    }
}

static void change(sim_warp *warp, const sim_instruction *in, sim_register_pool *pool) {
    struct sim_register_share *own = &pool->warp[warp->index];

    pool->free += own->has;
    pool->free -= (u32)in->imm;
    own->has = (u32)in->imm;
    own->pc = instruction_pc(warp, in);
    own->changes++;
    check_group(warp, in, pool);
    warp->block->progress++;
}

/* imm: registers of a thread; aux 1: more than now, which waits until they are free */
HANDLER(setmaxnreg) {
    sim_register_pool *pool = pool_of(warp);
    bool more = in->aux & 1;

    if (!is_legal(warp, in, exec) || !pool) return SIM_STEP;
    u32 has = pool->warp[warp->index].has, wanted = (u32)in->imm;
    if (wanted != has && more != (wanted > has))
        sim_find(warp, SIM_FINDING_value, in, UINT32_MAX,
                 "setmaxnreg.%s to %u by block %u warp %u, whose threads have %u (%%p)",
                 more ? "inc" : "dec", wanted, warp->block->index, warp->index, has);
    bool free = wanted <= has || wanted - has <= pool->free;
    int next = sim_poll_until(warp, instruction_pc(warp, in), free);
    if (next != SIM_WAIT) change(warp, in, pool);
    return next;
}
