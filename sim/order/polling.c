/* polling.c - polls that find nothing new, and when flags in global memory were set. */
#include "order/polling.h"

#include <stdlib.h>

/* LOOP_CYCLES: what a loop that only polls may take: a load, a fence and a sleep. */
enum { LOOP_CYCLES = 1024, WORD_SHIFT = 2, FIRST_ROOM = 256 };

void sim_poll_start(sim_warp *warp, uint32_t pc, uint64_t address) {
    sim_poll *poll = &warp->poll;
    uint64_t done = warp->block->progress - warp->others_progress;

    poll->again = poll->pc == pc && poll->address == address && poll->done == done &&
                  warp->cycles - poll->cycle <= LOOP_CYCLES;
    if (poll->again) warp->cycles = poll->cycle;
    poll->pc = pc;
    poll->address = address;
    poll->done = done;
}

void sim_poll_end(sim_warp *warp, bool nothing) {
    warp->poll.idle = nothing;
    warp->poll.cycle = warp->cycles;
}

void sim_poll_over(sim_warp *warp) {
    warp->poll.idle = false;
    warp->poll.pc = UINT32_MAX;
}

int sim_poll_until(sim_warp *warp, uint32_t pc, bool may_go_on) {
    bool was_idle = warp->poll.idle;

    sim_poll_start(warp, pc, 0);
    if (may_go_on) {
        sim_poll_over(warp);
        return was_idle ? SIM_YIELD : SIM_STEP;
    }
    sim_poll_end(warp, true);
    warp->pc = pc;
    warp->block->polls++;
    return SIM_WAIT;
}

bool sim_poll_idle(sim_warp *warp) {
    sim_poll *poll = &warp->poll;

    /* It has given up to do something else. */
    if (poll->done != warp->block->progress - warp->others_progress) poll->idle = false;
    return poll->idle;
}

/* ---- flags: an open hash table of words, of which the launch has one */

struct sim_flag {
    uint64_t word; /* address >> WORD_SHIFT; 0: free */
    uint64_t cycle;
    uint32_t block; /* that stored to it at that time */
};

static sim_flag *find(const sim_flags *flags, uint64_t word) {
    uint64_t at = word * 0x9e3779b97f4a7c15ull >> 20;

    while (flags->flag[at & (flags->room - 1)].word &&
           flags->flag[at & (flags->room - 1)].word != word)
        at++;
    return &flags->flag[at & (flags->room - 1)];
}

/* Without memory for more, flags are lost: their waits seem short. */
static bool make_room(sim_flags *flags) {
    sim_flags bigger = {.room = flags->room ? 2 * flags->room : FIRST_ROOM};

    if (2 * flags->count < flags->room) return true;
    bigger.flag = calloc(bigger.room, sizeof *bigger.flag);
    if (!bigger.flag) return false;
    for (uint64_t i = 0; i < flags->room; i++)
        if (flags->flag[i].word) *find(&bigger, flags->flag[i].word) = flags->flag[i];
    free(flags->flag);
    flags->flag = bigger.flag;
    flags->room = bigger.room;
    return true;
}

static void set(sim_flags *flags, const sim_warp *warp, uint64_t word) {
    if (!make_room(flags)) return;
    sim_flag *flag = find(flags, word);
    if (!flag->word) flags->count++;
    else if (flag->cycle >= warp->cycles) return;
    *flag = (sim_flag){.word = word, .cycle = warp->cycles, .block = warp->block->index};
}

/* Blocks of earlier rounds had ended before this one began, whose clock starts again at 0. */
static void wait(const sim_flags *flags, sim_warp *warp, uint64_t word) {
    const sim_launch_state *launch = warp->block->launch;

    if (!flags->room) return;
    const sim_flag *flag = find(flags, word);
    bool earlier = flag->block / launch->slots < warp->block->index / launch->slots;
    if (flag->word && !earlier && flag->cycle > warp->cycles) warp->cycles = flag->cycle;
}

/* Words of one lane's access. */
#define FOR_WORDS(word, address, bytes)                                                            \
    for (uint64_t word = (address) >> WORD_SHIFT; word <= ((address) + (bytes)-1) >> WORD_SHIFT;   \
         word++)

void sim_flags_set(sim_warp *warp, const uint64_t *address, uint32_t lanes, uint32_t bytes) {
    sim_flags *flags = &warp->block->launch->flags;

    if (!warp->block->kernel->polls) return;
    pthread_mutex_lock(&flags->lock);
    for (int lane = 0; lane < SIM_LANES; lane++)
        if (lanes >> lane & 1) FOR_WORDS(word, address[lane], bytes) set(flags, warp, word);
    pthread_mutex_unlock(&flags->lock);
}

void sim_flags_wait(sim_warp *warp, const uint64_t *address, uint32_t lanes, uint32_t bytes) {
    sim_flags *flags = &warp->block->launch->flags;

    pthread_mutex_lock(&flags->lock);
    for (int lane = 0; lane < SIM_LANES; lane++)
        if (lanes >> lane & 1) FOR_WORDS(word, address[lane], bytes) wait(flags, warp, word);
    pthread_mutex_unlock(&flags->lock);
}
