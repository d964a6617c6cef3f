/* kernel_case.c - compiles a file of kernels, runs them on several chips and compares. */
#include "kernel_case.h"

#include "core/status.h"
#include "nvrtc_for_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Code of two compiler generations: compute_100 and later come from a newer one. */
static const struct {
    const char *arch, *device;
    bool sm_90;
} targets[] = {
    {"compute_80", "a100", false},          {"compute_80", "a100,seed=7,threads=1", false},
    {"compute_80", "a100,portable=1", false},
    {"compute_89", "l40s,seed=11", false},  {"compute_90a", "h100,seed=3,threads=2", true},
    {"compute_100a", "b200,seed=5", true},
};

static void random_words(uint32_t *words, uint32_t state) {
    for (int i = 0; i < KERNEL_WORDS; i++) {
        state = state * 1664525u + 1013904223u;
        words[i] = state ^ state >> 15;
    }
}

static bool compare(const char *device, const kernel_case *c, const uint32_t *in,
                    const uint32_t *got) {
    static uint32_t want[KERNEL_WORDS];
    int wrong = 0;

    memset(want, 0, sizeof want);
    c->expect(in, want);
    for (int i = 0; i < KERNEL_WORDS; i++)
        if (got[i] != want[i] && wrong++ < 3)
            print_error("%s on %s: word %d is %x, not %x\n", c->entry, device, i, got[i], want[i]);
    return wrong == 0;
}

static bool case_passes(const char *device, const char *ptx, const kernel_case *c) {
    static uint32_t in[KERNEL_WORDS], out[KERNEL_WORDS];
    struct {
        moe_ptr in, out;
        int32_t n;
    } args = {.n = KERNEL_WORDS};
    moe_status status;
    bool good;
    sim_rig rig;

    random_words(in, c->grid * 31 + c->block);
    rig_open(&rig, device);
    args.in = rig_buffer(&rig, in, sizeof in);
    args.out = rig_buffer(&rig, NULL, sizeof out);
    rig_zero(&rig, args.out, sizeof out);
    status = rig_try_load(&rig, ptx, c->entry);
    if (status == MOE_OK) status = rig_try(&rig, c->grid, c->block, c->smem, &args, 20);
    if (status != MOE_OK) print_error("%s on %s: %s\n", c->entry, device, moe_error_text());
    if (status == MOE_OK) rig_read(&rig, out, args.out, sizeof out);
    good = status == MOE_OK && compare(device, c, in, out);
    rig_close(&rig);
    return good;
}

void kernel_cases_check(const char *path, const kernel_case *cases, int count) {
    int failed = 0;

    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        char *ptx = nvrtc_file_ptx(path, targets[t].arch, NULL);
        for (int i = 0; i < count; i++)
            if (targets[t].sm_90 || !cases[i].sm_90)
                failed += !case_passes(targets[t].device, ptx, &cases[i]);
        free(ptx);
    }
    if (failed) fail_msg("%d runs of %s failed", failed, path);
}
