/* schedule.c - when the instructions of a kernel can issue in a warp that runs alone. */
#include "model/model.h"

#include <stdlib.h>

/* What has been scheduled so far; times are cycles since the start of the kernel. */
typedef struct schedule {
    uint16_t load;           /* cycles of a load from global memory */
    uint64_t *ready;         /* by register: when its value can be read */
    uint64_t now;            /* start of the stretch */
    uint64_t last;           /* issue of the latest instruction of the stretch */
    uint64_t count;          /* cycles that the stretch takes if nothing waits */
    uint64_t stored, shared; /* last store to global and to shared memory: loads stay behind */
} schedule;

static const uint8_t class_slots[SIM_CLASS_COUNT] = {
#define SIM_CLASS(name, latency, slots, help) slots,
#include "model/class.def"
#undef SIM_CLASS
};

/* Classes behind which nothing issues until they are done. */
static bool ends_stretch(uint8_t class) {
    return class == SIM_CLASS_branch || class == SIM_CLASS_barrier || class == SIM_CLASS_fence;
}

static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint16_t fitting(uint64_t cycles) {
    return cycles > UINT16_MAX ? UINT16_MAX : (uint16_t)cycles;
}

static uint64_t inputs_ready(const schedule *s, const sim_schedule_op *op) {
    uint64_t at = 0;
    for (unsigned i = 0; i < op->inputs; i++) at = later(at, s->ready[op->in[i]]);
    return at;
}

/* The earliest issue that data and the order of memory allow. */
static uint64_t issue_time(schedule *s, const sim_schedule_op *op) {
    uint64_t at = later(inputs_ready(s, op), s->now);
    switch (op->class) {
    case SIM_CLASS_load_global: return later(at, s->stored);
    case SIM_CLASS_load_shared:
    case SIM_CLASS_matrix_load: return later(at, s->shared);
    case SIM_CLASS_store_global:
    case SIM_CLASS_atomic_global: return s->stored = later(at, s->stored);
    case SIM_CLASS_store_shared:
    case SIM_CLASS_atomic_shared: return s->shared = later(at, s->shared);
    default: return at;
    }
}

static uint64_t latency_of(const schedule *s, uint8_t class) {
    return class == SIM_CLASS_load_global ? s->load : sim_class_latency[class];
}

static void schedule_op(schedule *s, const sim_schedule_op *op) {
    /* The assembler makes moves disappear: they wait for nothing and hand the wait on. */
    bool move = op->class == SIM_CLASS_move;
    uint64_t issue = move ? inputs_ready(s, op) : issue_time(s, op);
    for (unsigned i = 0; i < op->outputs; i++)
        s->ready[op->out[i]] = issue + latency_of(s, op->class);
    if (move) return;
    s->last = later(s->last, issue);
    s->count += class_slots[op->class];
}

/* Schedules ops[first..] up to the end of their stretch, and gives its cycles to its instructions:
 * its slots to each, the wait to the last. Returns the first instruction behind. */
static size_t schedule_stretch(schedule *s, const sim_schedule_op *ops, size_t first, size_t count,
                               uint16_t *stall) {
    size_t i = first;
    s->last = s->now;
    s->count = 0;
    do {
        schedule_op(s, &ops[i]);
        stall[i] = class_slots[ops[i].class];
    } while (!ends_stretch(ops[i++].class) && i < count && !ops[i].leader);
    uint64_t cycles = s->count ? later(s->last - s->now + 1, s->count) : 0;
    if (ends_stretch(ops[i - 1].class)) cycles += sim_class_latency[ops[i - 1].class];
    uint64_t wait = cycles - s->count + stall[i - 1];
    stall[i - 1] = fitting(wait);
    s->now += cycles;
    return i;
}

/* A schedule takes a loop's body twice for each loop around it, so no deeper than this. */
enum { DEEPEST_LOOP = 4 };

/* A kernel and what its instructions cost. */
typedef struct listing {
    const sim_schedule_op *ops;
    uint16_t *stall;
} listing;

static void schedule_range(schedule *s, const listing *l, size_t first, size_t end, int depth);

/* The loop's iterations cost what the second pass does; the waits of the first alone are the
 * business of who comes to the loop. */
static void schedule_loop(schedule *s, const listing *l, size_t first, size_t end, int depth) {
    uint64_t start = s->now;
    schedule_range(s, l, first, end, depth);
    uint64_t once = s->now - start;
    schedule_range(s, l, first, end, depth);
    uint64_t again = s->now - start - once;
    if (first == 0 || once <= again) return;
    uint64_t wait = l->stall[first - 1] + once - again;
    l->stall[first - 1] = fitting(wait);
}

static void schedule_range(schedule *s, const listing *l, size_t first, size_t end, int depth) {
    for (size_t i = first; i < end;) {
        size_t loop = l->ops[i].loop;
        bool inner = loop > i && loop <= end && !(i == first && loop == end && depth > 0);
        if (inner && depth < DEEPEST_LOOP) {
            schedule_loop(s, l, i, loop, depth + 1);
            i = loop;
        } else {
            i = schedule_stretch(s, l->ops, i, end, l->stall);
        }
    }
}

bool sim_schedule(const sim_schedule_op *ops, size_t count, uint32_t registers, uint16_t load,
                  uint16_t *stall) {
    schedule s = {.load = load, .ready = calloc((size_t)registers + 1, sizeof *s.ready)};
    if (!s.ready) return false;
    schedule_range(&s, &(listing){.ops = ops, .stall = stall}, 0, count, 0);
    free(s.ready);
    return true;
}
