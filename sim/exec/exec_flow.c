/* exec_flow.c - the dispatch loop and control flow.
 *
 * Lanes of a warp that stand at the same instruction run together; of several such groups the one
 * with the lowest pc runs, so that it catches up with the others. Lanes that a group left behind
 * are `waiting` at their lane_pc. A group that jumps backward again and again while others wait
 * may spin on what one of them has to do, so after a while it is held and the others go first. */
#include "exec/exec_simd.h"
#include "order/polling.h"
#include "order/race.h"

enum { SPIN_LIMIT = 2000 };

static void set_lane_pcs(sim_warp *warp, u32 lanes, u32 pc) {
    for (int i = 0; i < SIM_LANES; i++) warp->lane_pc[i] = lanes >> i & 1 ? pc : warp->lane_pc[i];
}

static u32 lowest_pc(const sim_warp *warp, u32 lanes) {
    u32 least = ~0u;

    for (int i = 0; i < SIM_LANES; i++) {
        u32 pc = lanes >> i & 1 ? warp->lane_pc[i] : ~0u;
        least = pc < least ? pc : least;
    }
    return least;
}

static u32 lanes_at(const sim_warp *warp, u32 lanes, u32 pc) {
    _Alignas(64) s32 same_pc[SIM_LANES];

    for (int i = 0; i < SIM_LANES; i++) same_pc[i] = warp->lane_pc[i] == pc ? -1 : 0;
    return lanes & lane_mask(same_pc);
}

/* Chooses the lanes that run next. False: none can. */
static bool regroup(sim_warp *warp) {
    if (warp->active) set_lane_pcs(warp, warp->active, warp->pc);
    warp->waiting |= warp->active;
    warp->active = 0;
    warp->held &= warp->waiting;
    if (warp->held == warp->waiting) warp->held = 0;
    u32 ready = warp->waiting & ~warp->held;
    if (!ready) return false;
    warp->pc = lowest_pc(warp, ready);
    warp->active = lanes_at(warp, ready, warp->pc);
    warp->waiting &= ~warp->active;
    warp->next_pc = lowest_pc(warp, ready & ~warp->active);
    return true;
}

/* No lane can go on: the warp is done, or some lanes wait for others that will never come. */
static void end_of_lanes(sim_warp *warp) {
    warp->state = warp->parked ? SIM_WARP_STUCK : SIM_WARP_DONE;
    warp->block->live--;
    warp->block->progress++;
}

void SIM_EXEC(sim_warp_run)(sim_warp *warp, u64 budget) {
    sim_block *block = warp->block;
    const sim_instruction *code = block->kernel->code;
    u64 left = budget;

    warp->others_progress += block->progress - warp->turn_end;
    u64 *hits = sim_poll_idle(warp) ? block->worker->idle : block->worker->hits;

    while (left > 0) {
        if (warp->pc >= warp->next_pc || !warp->active) {
            if (!regroup(warp)) {
                end_of_lanes(warp);
                break;
            }
        }
        u32 pc = warp->pc, stop = warp->next_pc;
        int next = SIM_STEP;
        do {
            const sim_instruction *in = &code[pc];
            u32 exec = warp->active;
            hits[pc]++;
            warp->cycles += in->stall;
            left--;
            if (in->guard) exec &= *predicate(warp, (s32)in->guard) ^ in->guard_flip;
            if (likely(exec)) {
                next = in->run(warp, in, exec);
                if (unlikely(next != SIM_STEP)) break;
            }
            pc++;
        } while (left > 0 && pc < stop);
        if (next == SIM_STEP || next == SIM_YIELD) warp->pc = pc + (next == SIM_YIELD);
        if (next == SIM_WAIT || next == SIM_YIELD) break;
    }
    warp->executed += budget - left;
    warp->turn_end = block->progress;
    block->executed += budget - left;
}

/* ---- jumps */

static void note_backward(sim_warp *warp) {
    if (!warp->waiting || ++warp->spins < SPIN_LIMIT) return;
    warp->spins = 0;
    set_lane_pcs(warp, warp->active, warp->pc);
    warp->held |= warp->active;
    warp->waiting |= warp->active;
    warp->active = 0;
}

/* Lanes that go elsewhere than the group. */
static void leave_behind(sim_warp *warp, u32 lanes, u32 pc) {
    set_lane_pcs(warp, lanes, pc);
    warp->waiting |= lanes;
    warp->active &= ~lanes;
    if (pc < warp->next_pc) warp->next_pc = pc;
}

HANDLER(bra) {
    u32 target = (u32)in->imm, pc = instruction_pc(warp, in);
    u32 stay = warp->active & ~exec;

    if (stay && target > pc) {
        leave_behind(warp, exec, target);
        warp->pc = pc + 1;
        return SIM_JUMP;
    }
    if (stay) leave_behind(warp, stay, pc + 1);
    warp->pc = target;
    if (target <= pc) note_backward(warp);
    return SIM_JUMP;
}

/* Every lane of exec goes to a place of its own. */
static int scatter(sim_warp *warp, const sim_instruction *in, u32 exec, const u32 *targets) {
    u32 pc = instruction_pc(warp, in), stay = warp->active & ~exec;

    if (stay) leave_behind(warp, stay, pc + 1);
    FOR_LANES(lane, exec) warp->lane_pc[lane] = targets[lane];
    warp->waiting |= exec;
    warp->active = 0;
    return SIM_JUMP;
}

/* brx.idx a, table: imm entries at list. */
HANDLER(brx) {
    const u32 *index = LANES_OF(const u32, warp, in->a);
    u32 targets[SIM_LANES];

    FOR_LANES(lane, exec) {
        if (index[lane] >= (u64)in->imm) {
            sim_find(warp, SIM_FINDING_value, in, UINT32_MAX,
                     "brx.idx of %u in a table of %d (%%p)", index[lane], (int)in->imm);
            sim_warp_exit(warp, exec);
            return SIM_JUMP;
        }
        targets[lane] = (u32)in->list[index[lane]];
    }
    return scatter(warp, in, exec, targets);
}

/* call: a takes each lane's return address. */
HANDLER(call) {
    u32 *back = LANES_OF(u32, warp, in->a), pc = instruction_pc(warp, in);
    u32 stay = warp->active & ~exec;

    FOR_LANES(lane, exec) back[lane] = pc + 1;
    if (stay) leave_behind(warp, stay, pc + 1);
    warp->pc = (u32)in->imm;
    return SIM_JUMP;
}

/* ret from a function: a holds the return addresses. */
HANDLER(ret) {
    return scatter(warp, in, exec, LANES_OF(const u32, warp, in->a));
}

HANDLER(exit) {
    u32 stay = warp->active & ~exec;

    warp->pc = instruction_pc(warp, in) + 1;
    warp->active = stay;
    sim_warp_exit(warp, exec);
    return SIM_JUMP;
}

HANDLER(trap) {
    sim_find(warp, SIM_FINDING_trap, in, UINT32_MAX,
             "trap executed by block %u warp %u lane %d (%%p)", warp->block->index, warp->index,
             first_lane(exec));
    __atomic_store_n(&warp->block->launch->abort, 1, __ATOMIC_RELAXED);
    warp->pc = instruction_pc(warp, in) + 1;
    warp->active &= ~exec;
    sim_warp_exit(warp, exec);
    return SIM_JUMP;
}

/* The text at a device address, as far as it fits. */
static void read_text(const sim_warp *warp, u64 address, char *text, size_t size) {
    const sim_allocation *a = sim_allocation_at(warp->block->launch->memory, address);
    u64 offset = address & ((1ull << SIM_ADDRESS_SHIFT) - 1);
    size_t length = 0;

    for (; a && offset + length < a->size && length + 1 < size && a->bytes[offset + length];
         length++)
        text[length] = (char)a->bytes[offset + length];
    text[length] = 0;
}

/* imm, e, d: where message, file and line lie in the lane's local memory */
HANDLER(assert_failed) {
    const u8 *local =
        warp->local + (size_t)first_lane(exec) * warp->block->kernel->local_bytes;
    char message[160], file[100];
    u64 text[2];
    u32 line;

    memcpy(&text[0], local + in->imm, sizeof text[0]);
    memcpy(&text[1], local + in->e, sizeof text[1]);
    memcpy(&line, local + in->d, sizeof line);
    read_text(warp, text[0], message, sizeof message);
    read_text(warp, text[1], file, sizeof file);
    sim_find(warp, SIM_FINDING_assertion, in, UINT32_MAX,
             "%s, in %s:%u, by block %u warp %u lane %d (%%p)", message, file, line,
             warp->block->index, warp->index, first_lane(exec));
    __atomic_store_n(&warp->block->launch->abort, 1, __ATOMIC_RELAXED);
    warp->pc = instruction_pc(warp, in) + 1;
    warp->active &= ~exec;
    sim_warp_exit(warp, exec);
    return SIM_JUMP;
}

HANDLER(nop) {
    (void)warp, (void)in, (void)exec;
    return SIM_STEP;
}

HANDLER(nanosleep) {
    (void)in, (void)exec;
    warp->block->polls++;
    return SIM_YIELD;
}

/* griddepcontrol.wait: launches follow one another here, so they have ended. Time passes, so that
 * it can be told who has seen the wait. */
HANDLER(dependency_wait) {
    (void)in;
    warp->waited |= exec;
    if (!warp->wait_stamp) warp->wait_stamp = sim_stamp(warp) | (u32)first_lane(exec);
    sim_race_tick(warp->block);
    return SIM_STEP;
}

/* griddepcontrol.launch_dependents starts nothing here. But lanes that have not waited themselves
 * would let the next launch run beside those ahead of this one. */
HANDLER(dependents_launch) {
    (void)in;
    u32 early = 0;

    FOR_LANES(lane, exec) early |= (u32)!sim_has_waited(warp, lane) << lane;
    if (early)
        __atomic_store_n(&warp->block->launch->hasty, 1, __ATOMIC_RELAXED);
    return SIM_STEP;
}

/* d = the modelled cycle; aux: bits of d, and whether it is nanoseconds or the upper half. */
HANDLER(clock) {
    u64 now = warp->cycles + warp->executed;

    warp->block->polls++;
    FOR_LANES(lane, exec) {
        if (in->aux & 64) LANES_OF(u64, warp, in->d)[lane] = now;
        else LANES_OF(u32, warp, in->d)[lane] = (u32)(in->aux & 1 ? now >> 32 : now);
    }
    return SIM_STEP;
}
