/* kernel_case.h - whole kernels against C.
 *
 * Every kernel of a .cu file has the signature k(const unsigned *in, unsigned *out, int n), where
 * in and out have n = KERNEL_WORDS words, in random and out zeroed. A case says what out must
 * become. Each runs on several chips, each with code compiled for it, under several schedules. */
#ifndef KERNEL_CASE_H
#define KERNEL_CASE_H

#include "rig.h"

enum { KERNEL_WORDS = 4096 };

typedef struct kernel_case {
    const char *entry;
    uint32_t grid, block, smem; /* smem: dynamic bytes */
    void (*expect)(const uint32_t *in, uint32_t *out);
    bool sm_90; /* only there and later */
} kernel_case;

/* Compiles the file for each chip and runs all cases; prints those that fail, then fails. */
void kernel_cases_check(const char *path, const kernel_case *cases, int count);

#endif
