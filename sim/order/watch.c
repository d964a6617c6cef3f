/* watch.c - blocks that do not come to an end: where they stand, and why. */
#include "order/async.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Some instruction where lanes of the warp stand. */
static uint32_t some_pc(const sim_warp *warp, uint32_t lanes) {
    return lanes ? warp->lane_pc[__builtin_ctz(lanes)] : warp->pc;
}

static uint32_t standing_pc(const sim_warp *warp) {
    if (warp->state == SIM_WARP_BARRIER)
        return (warp->active ? warp->pc : some_pc(warp, warp->waiting)) - 1;
    if (warp->active) return warp->pc;
    return some_pc(warp, warp->parked ? warp->parked : warp->waiting);
}

void sim_block_describe(const sim_block *b, char *text, size_t size) {
    size_t at = 0;

    text[0] = 0;
    for (uint32_t w = 0; w < b->warps && at + 1 < size; w++) {
        const sim_warp *warp = &b->warp[w];
        char place[160];
        if (warp->state == SIM_WARP_DONE) continue;
        uint32_t pc = standing_pc(warp);
        sim_place_text(b->kernel, pc, place, sizeof place);
        int more = snprintf(text + at, size - at, "%swarp %u at %s (%s)", at ? "; " : "", w,
                            pc < b->kernel->count ? b->kernel->text[pc] : "end", place);
        if (more < 0) break;
        at += (size_t)more;
    }
}

/* Lanes that wait for one another: at different collectives, or at different barriers. */
void sim_report_stuck(sim_warp *warp) {
    sim_block *b = warp->block;
    uint32_t lane = (uint32_t)__builtin_ctz(warp->parked), pc = warp->lane_pc[lane], here = 0;
    uint32_t missing, other = UINT32_MAX;
    bool barrier = false;

    for (uint32_t i = 0; i < SIM_LANES; i++) {
        if (!(warp->parked >> i & 1)) continue;
        barrier |= warp->park_kind[i] == SIM_PARK_BARRIER;
        if (warp->lane_pc[i] == pc) here |= 1u << i;
    }
    missing = warp->park_mask[lane] & ~here & ~warp->exited;
    if (missing) other = warp->lane_pc[__builtin_ctz(missing)];
    sim_find(
        warp, barrier ? SIM_FINDING_divergent : SIM_FINDING_collective, &b->kernel->code[pc], other,
        "block %u warp %u: lanes 0x%08x wait at %s (%%p) for lanes 0x%08x, which wait at %s (%%q)",
        b->index, warp->index, here, b->kernel->text[pc], missing,
        other < b->kernel->count ? b->kernel->text[other] : "?");
}

void sim_report_deadlock(sim_block *b, const char *why) {
    sim_warp *warp = &b->warp[0];
    char text[SIM_FINDING_TEXT - 80];
    bool stuck = false;

    for (uint32_t w = 0; w < b->warps; w++) {
        if (b->warp[w].state == SIM_WARP_STUCK) {
            sim_report_stuck(&b->warp[w]);
            stuck = true;
        }
        if (b->warp[w].state != SIM_WARP_DONE) warp = &b->warp[w];
    }
    if (stuck) return;
    sim_block_describe(b, text, sizeof text);
    sim_mbarrier_describe(b, text, sizeof text);
    sim_find(warp, SIM_FINDING_deadlock, &b->kernel->code[standing_pc(warp)], UINT32_MAX,
             "block %u: %s: %s", b->index, why, text);
}

/* ---- loops without end. If a warp comes back to the same place with the same registers, and has
 * read nothing else on the way, it will do so for ever, whatever it stores. */

enum { LOOP_STEPS = 4096 };

/* What only computes, stores and jumps; everything else may bring news. */
static bool brings_news(const sim_block *b, uint32_t pc) {
    switch (sim_op_class[b->kernel->code[pc].op]) {
    case SIM_CLASS_move:
    case SIM_CLASS_integer:
    case SIM_CLASS_multiply:
    case SIM_CLASS_fp32:
    case SIM_CLASS_fp16:
    case SIM_CLASS_fp64:
    case SIM_CLASS_convert:
    case SIM_CLASS_special:
    case SIM_CLASS_division:
    case SIM_CLASS_branch:
    case SIM_CLASS_constant: return b->kernel->code[pc].op == SIM_OP_clock;
    case SIM_CLASS_store_global: return false;
    case SIM_CLASS_store_shared: return b->kernel->code[pc].op != SIM_OP_st_shared;
    default: return true;
    }
}

static bool comes_back(sim_warp *warp, uint8_t *registers) {
    sim_block *b = warp->block;
    size_t bytes = b->kernel->register_bytes;
    uint32_t pc = warp->pc, active = warp->active;

    memcpy(registers, warp->base[0], bytes);
    for (int i = 0; i < LOOP_STEPS && warp->state == SIM_WARP_READY && warp->active; i++) {
        if (brings_news(b, warp->pc)) return false;
        b->launch->context->run(warp, 1);
        if (warp->pc == pc && warp->active == active &&
            memcmp(registers, warp->base[0], bytes) == 0)
            return true;
    }
    return false;
}

bool sim_loops_for_ever(sim_block *b) {
    uint8_t *registers = malloc(b->kernel->register_bytes);
    bool caught = false;

    for (uint32_t w = 0; registers && w < b->warps && !caught; w++) {
        sim_warp *warp = &b->warp[w];
        if (warp->state != SIM_WARP_READY || !warp->active || warp->waiting) continue;
        caught = comes_back(warp, registers);
        if (caught)
            sim_find(warp, SIM_FINDING_deadlock, &b->kernel->code[warp->pc], UINT32_MAX,
                     "block %u warp %u is in a loop that never ends (%%p): its registers repeat",
                     b->index, w);
    }
    free(registers);
    return caught;
}

/* A warp that can go on, if there is one. */
static sim_warp *some_warp(const sim_block *b) {
    sim_warp *warp = &b->warp[0];

    for (uint32_t w = 0; w < b->warps; w++)
        if (b->warp[w].state == SIM_WARP_READY) warp = &b->warp[w];
    return warp;
}

bool sim_over_budget(sim_block *b) {
    char text[SIM_FINDING_TEXT - 140];
    sim_warp *warp = some_warp(b);

    if (b->executed < SIM_BUDGET || b->launch->context->options.most_instructions) return false;
    sim_block_describe(b, text, sizeof text);
    sim_find(warp, SIM_FINDING_limit, &b->kernel->code[standing_pc(warp)], UINT32_MAX,
             "block %u has executed %llu warp instructions and is given up: %s", b->index,
             (unsigned long long)b->executed, text);
    return true;
}

void sim_report_limit(const sim_block *b) {
    char text[SIM_FINDING_TEXT - 140];
    sim_launch_state *launch = b->launch;
    sim_warp *warp = some_warp(b);

    if (__atomic_exchange_n(&launch->abort, 1, __ATOMIC_RELAXED)) return;
    sim_block_describe(b, text, sizeof text);
    sim_find(warp, SIM_FINDING_limit, &b->kernel->code[standing_pc(warp)], UINT32_MAX,
             "after %llu warp instructions, block %u: %s",
             (unsigned long long)__atomic_load_n(&launch->executed, __ATOMIC_RELAXED), b->index,
             text);
}
