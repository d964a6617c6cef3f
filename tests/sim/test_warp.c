/* label: sim */
/* test_warp.c - instructions in which the lanes of a warp meet: shfl, vote, match, redux, elect,
 * activemask and the lane masks, with all lanes and with some. */
#include "core/status.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LANES = 32, BLOCKS = 24 };

/* What a warp's lanes hold. `defined` marks the lanes whose result PTX defines. */
typedef struct warp {
    uint32_t a[LANES], b[LANES], d[LANES];
    uint32_t active, defined;
} warp;

typedef struct warp_case {
    const char *ptx; /* from %a %b %m (the active lanes) to %d; %p and %x are free */
    void (*expect)(warp *w);
    bool sm_90; /* needs it */
} warp_case;

static bool is_active(const warp *w, int lane) {
    return w->active >> lane & 1;
}

/* ----------------------------------------------------------------------------------- shuffles */

typedef enum shuffle { UP, DOWN, BFLY, IDX } shuffle;

/* The PTX ISA's pseudocode; the predicate goes to bit 31. */
static void shuffled(warp *w, shuffle kind, uint32_t c) {
    int mask = c >> 8 & 31, limit = c & 31;

    for (int lane = 0; lane < LANES; lane++) {
        int b = (int)(w->b[lane] & 31), first = lane & mask, last = first | (limit & ~mask), j;
        bool valid = true;
        switch (kind) {
        case UP: j = lane - b, valid = j >= last; break;
        case DOWN: j = lane + b, valid = j <= last; break;
        case BFLY: j = lane ^ b, valid = j <= last; break;
        default: j = first | (b & ~mask), valid = j <= last;
        }
        if (!valid) j = lane;
        if (!is_active(w, j)) w->defined &= ~(1u << lane);
        w->d[lane] = (w->a[j] & 0x7fffffff) | (uint32_t)valid << 31;
    }
}

#define SHUFFLE(name, kind, c)                                                                     \
    static void name(warp *w) {                                                                    \
        shuffled(w, kind, c);                                                                      \
    }
SHUFFLE(up_warp, UP, 0)
SHUFFLE(up_eights, UP, 0x1800)
SHUFFLE(down_warp, DOWN, 31)
SHUFFLE(down_fours, DOWN, 0x1c1f)
SHUFFLE(bfly_warp, BFLY, 31)
SHUFFLE(bfly_sixteens, BFLY, 0x101f)
SHUFFLE(idx_warp, IDX, 31)
SHUFFLE(idx_eights, IDX, 0x181f)
SHUFFLE(idx_limited, IDX, 20)

#define SHUFFLE_PTX(kind, c)                                                                       \
    "and.b32 %a, %a, 0x7fffffff; shfl.sync." kind ".b32 %d|%p, %a, %b, " c ", %m; "                \
    "@%p or.b32 %d, %d, 0x80000000; @!%p and.b32 %d, %d, 0x7fffffff;"

/* -------------------------------------------------------------------------- votes and matches */

static uint32_t ballot(const warp *w) {
    uint32_t set = 0;

    for (int lane = 0; lane < LANES; lane++) set |= (w->b[lane] & 1) << lane;
    return set & w->active;
}

static void everywhere(warp *w, uint32_t value) {
    for (int lane = 0; lane < LANES; lane++) w->d[lane] = value;
}

static void vote_ballot(warp *w) {
    everywhere(w, ballot(w));
}

static void vote_all(warp *w) {
    everywhere(w, ballot(w) == w->active);
}

static void vote_any(warp *w) {
    everywhere(w, ballot(w) != 0);
}

static void vote_uni(warp *w) {
    everywhere(w, ballot(w) == 0 || ballot(w) == w->active);
}

static void vote_not_all(warp *w) {
    everywhere(w, ballot(w) == 0);
}

static uint32_t equal_lanes(const warp *w, int lane, uint32_t mask) {
    uint32_t set = 0;

    for (int other = 0; other < LANES; other++)
        if (is_active(w, other) && (w->a[other] & mask) == (w->a[lane] & mask)) set |= 1u << other;
    return set;
}

static void match_any(warp *w) {
    for (int lane = 0; lane < LANES; lane++) w->d[lane] = equal_lanes(w, lane, 3);
}

static void match_all(warp *w) {
    for (int lane = 0; lane < LANES; lane++)
        w->d[lane] = equal_lanes(w, lane, ~0u) == w->active ? w->active ^ 1 : 0;
}

/* -------------------------------------------------------------------------------- reductions */

#define REDUCE(name, type, start, step)                                                            \
    static void name(warp *w) {                                                                    \
        type sum = start;                                                                          \
                                                                                                   \
        for (int lane = 0; lane < LANES; lane++) {                                                 \
            type value = (type)w->a[lane];                                                         \
            if (is_active(w, lane)) sum = step;                                                    \
        }                                                                                          \
        everywhere(w, (uint32_t)sum);                                                              \
    }
REDUCE(reduce_add, uint32_t, 0, sum + value)
REDUCE(reduce_min_s32, int32_t, INT32_MAX, value < sum ? value : sum)
REDUCE(reduce_max_s32, int32_t, INT32_MIN, value > sum ? value : sum)
REDUCE(reduce_min_u32, uint32_t, UINT32_MAX, value < sum ? value : sum)
REDUCE(reduce_max_u32, uint32_t, 0, value > sum ? value : sum)
REDUCE(reduce_and, uint32_t, UINT32_MAX, sum & value)
REDUCE(reduce_or, uint32_t, 0, sum | value)
REDUCE(reduce_xor, uint32_t, 0, sum ^ value)

/* --------------------------------------------------------------------------------- registers */

static void active_mask(warp *w) {
    everywhere(w, w->active);
}

static void lane_masks(warp *w) {
    for (uint32_t lane = 0; lane < LANES; lane++) {
        uint32_t eq = 1u << lane, lt = eq - 1, le = lt | eq;
        w->d[lane] = eq * 3 + lt * 5 + le * 7 + ~lt * 11 + ~le * 13 + lane;
    }
}

static void one_elected(warp *w) {
    everywhere(w, 1);
}

static const warp_case cases[] = {
    {SHUFFLE_PTX("up", "0"), up_warp, false},
    {SHUFFLE_PTX("up", "0x1800"), up_eights, false},
    {SHUFFLE_PTX("down", "31"), down_warp, false},
    {SHUFFLE_PTX("down", "0x1c1f"), down_fours, false},
    {SHUFFLE_PTX("bfly", "31"), bfly_warp, false},
    {SHUFFLE_PTX("bfly", "0x101f"), bfly_sixteens, false},
    {SHUFFLE_PTX("idx", "31"), idx_warp, false},
    {SHUFFLE_PTX("idx", "0x181f"), idx_eights, false},
    {SHUFFLE_PTX("idx", "20"), idx_limited, false},
    {"and.b32 %x, %b, 1; setp.ne.s32 %p, %x, 0; vote.sync.ballot.b32 %d, %p, %m;", vote_ballot,
     false},
    {"and.b32 %x, %b, 1; setp.ne.s32 %p, %x, 0; vote.sync.all.pred %p, %p, %m; "
     "selp.b32 %d, 1, 0, %p;", vote_all, false},
    {"and.b32 %x, %b, 1; setp.ne.s32 %p, %x, 0; vote.sync.any.pred %p, %p, %m; "
     "selp.b32 %d, 1, 0, %p;", vote_any, false},
    {"and.b32 %x, %b, 1; setp.ne.s32 %p, %x, 0; vote.sync.uni.pred %p, %p, %m; "
     "selp.b32 %d, 1, 0, %p;", vote_uni, false},
    {"and.b32 %x, %b, 1; setp.ne.s32 %p, %x, 0; vote.sync.all.pred %p, !%p, %m; "
     "selp.b32 %d, 1, 0, %p;", vote_not_all, false},
    {"and.b32 %a, %a, 3; match.any.sync.b32 %d, %a, %m;", match_any, false},
    {"{ .reg .b64 wide; and.b32 %a, %a, 3; mov.b64 wide, {%a, %a}; "
     "match.any.sync.b64 %d, wide, %m; }", match_any, false},
    {"match.all.sync.b32 %d|%p, %a, %m; @%p xor.b32 %d, %d, 1;", match_all, false},
    {"redux.sync.add.s32 %d, %a, %m;", reduce_add, false},
    {"redux.sync.add.u32 %d, %a, %m;", reduce_add, false},
    {"redux.sync.min.s32 %d, %a, %m;", reduce_min_s32, false},
    {"redux.sync.max.s32 %d, %a, %m;", reduce_max_s32, false},
    {"redux.sync.min.u32 %d, %a, %m;", reduce_min_u32, false},
    {"redux.sync.max.u32 %d, %a, %m;", reduce_max_u32, false},
    {"redux.sync.and.b32 %d, %a, %m;", reduce_and, false},
    {"redux.sync.or.b32 %d, %a, %m;", reduce_or, false},
    {"redux.sync.xor.b32 %d, %a, %m;", reduce_xor, false},
    {"activemask.b32 %d;", active_mask, false},
    {"mov.u32 %x, %lanemask_eq; mul.lo.s32 %d, %x, 3; mov.u32 %x, %lanemask_lt; "
     "mad.lo.s32 %d, %x, 5, %d; mov.u32 %x, %lanemask_le; mad.lo.s32 %d, %x, 7, %d; "
     "mov.u32 %x, %lanemask_ge; mad.lo.s32 %d, %x, 11, %d; mov.u32 %x, %lanemask_gt; "
     "mad.lo.s32 %d, %x, 13, %d; mov.u32 %x, %laneid; add.s32 %d, %d, %x;", lane_masks, false},
    {"elect.sync %x|%p, %m; vote.sync.ballot.b32 %x, %p, %m; popc.b32 %d, %x;", one_elected, true},
    {"bar.warp.sync %m; activemask.b32 %d;", active_mask, false},
};

/* One warp a block; lanes outside the mask leave before the instruction. */
static const char frame[] =
    ".version 9.0\n.target %s\n.address_size 64\n"
    ".visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 pm, .param .u64 pd)\n"
    "{\n    .reg .b64 %%at, %%lane_at;\n    .reg .b32 %%a, %%b, %%d, %%m, %%x, %%lane, %%block;\n"
    "    .reg .pred %%p, %%out;\n"
    "    mov.u32 %%lane, %%tid.x;\n    mov.u32 %%block, %%ctaid.x;\n"
    "    mad.lo.s32 %%x, %%block, 32, %%lane;\n    mul.wide.u32 %%lane_at, %%x, 4;\n"
    "    ld.param.u64 %%at, [pa];\n    add.s64 %%at, %%at, %%lane_at;\n"
    "    ld.global.b32 %%a, [%%at];\n"
    "    ld.param.u64 %%at, [pb];\n    add.s64 %%at, %%at, %%lane_at;\n"
    "    ld.global.b32 %%b, [%%at];\n"
    "    ld.param.u64 %%at, [pm];\n    mad.wide.u32 %%at, %%block, 4, %%at;\n"
    "    ld.global.b32 %%m, [%%at];\n"
    "    shr.u32 %%x, %%m, %%lane;\n    and.b32 %%x, %%x, 1;\n    setp.eq.s32 %%out, %%x, 0;\n"
    "    @%%out bra done;\n    %s\n"
    "    ld.param.u64 %%at, [pd];\n    add.s64 %%at, %%at, %%lane_at;\n"
    "    st.global.b32 [%%at], %%d;\n"
    "done:\n    ret;\n}\n";

static void fill_warps(warp *warps) {
    for (int block = 0; block < BLOCKS; block++) {
        warp *w = &warps[block];
        for (int lane = 0; lane < LANES; lane++) {
            w->a[lane] = (uint32_t)rand() * 2654435761u;
            w->b[lane] = block < 4 ? (uint32_t)(block & 1) : (uint32_t)rand();
            if (block % 5 == 4) w->a[lane] = 12345; /* all equal */
        }
        w->active = block % 2 ? (uint32_t)rand() * 77777u | 1u << block : ~0u;
        w->defined = w->active;
    }
}

/* Reading a lane that the mask does not name is undefined: a finding, and all else stays right. */
static bool is_outside(const warp_case *c, warp *warps) {
    bool outside = false;

    for (int block = 0; block < BLOCKS; block++) {
        c->expect(&warps[block]);
        outside = outside || (warps[block].active & ~warps[block].defined);
    }
    return outside;
}

static bool status_fits(const warp_case *c, warp *warps, moe_status status) {
    if (!is_outside(c, warps)) return status == MOE_OK;
    return status == MOE_E_FAULT && strstr(moe_error_text(), "its mask does not name");
}

static int wrong_lanes(const warp_case *c, warp *w, const uint32_t *got) {
    int wrong = 0;

    c->expect(w);
    for (int lane = 0; lane < LANES; lane++) {
        if (!(w->defined >> lane & 1) || got[lane] == w->d[lane]) continue;
        if (wrong++ == 0)
            print_error("%s\n    lane %d of %08x: a=%x b=%x: %x, not %x\n", c->ptx, lane, w->active,
                        w->a[lane], w->b[lane], got[lane], w->d[lane]);
    }
    return wrong;
}

static bool case_passes(sim_rig *rig, const warp_case *c) {
    warp warps[BLOCKS];
    uint32_t a[BLOCKS][LANES], b[BLOCKS][LANES], m[BLOCKS], d[BLOCKS][LANES];
    char text[4096];
    moe_status status;
    int wrong = 0;

    fill_warps(warps);
    for (int block = 0; block < BLOCKS; block++) {
        memcpy(a[block], warps[block].a, sizeof a[block]);
        memcpy(b[block], warps[block].b, sizeof b[block]);
        m[block] = warps[block].active;
    }
    memset(d, 0, sizeof d);
    moe_ptr args[] = {rig_buffer(rig, a, sizeof a), rig_buffer(rig, b, sizeof b),
                      rig_buffer(rig, m, sizeof m), rig_buffer(rig, d, sizeof d)};
    snprintf(text, sizeof text, frame, moe_device_sim.facts(rig->self)->arch, c->ptx);
    status = rig_try_load(rig, text, "k");
    if (status == MOE_OK) status = rig_try(rig, BLOCKS, LANES, 0, args, sizeof args);
    if (!status_fits(c, warps, status)) {
        print_error("%s\n    %s\n", c->ptx, moe_error_text());
        return false;
    }
    rig_read(rig, d, args[3], sizeof d);
    for (int block = 0; block < BLOCKS; block++) wrong += wrong_lanes(c, &warps[block], d[block]);
    return wrong == 0;
}

static void run_on(const char *chip, bool sm_90) {
    int failed = 0, count = sizeof cases / sizeof *cases;
    sim_rig rig;

    srand(1);
    rig_open(&rig, chip);
    for (int i = 0; i < count; i++)
        if (sm_90 || !cases[i].sm_90) failed += !case_passes(&rig, &cases[i]);
    rig_close(&rig);
    if (failed) fail_msg("%d of %d instructions are wrong", failed, count);
}

static void on_sm_80(void **state) {
    (void)state;
    run_on("a100", false);
}

static void on_sm_90(void **state) {
    (void)state;
    run_on("h100,seed=5", true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_sm_80), cmocka_unit_test(on_sm_90)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
