/* gemm_sweep.h - random legal configs of a template; of a grouped GEMM, each checked by
 * gemm_case. */
#ifndef GEMM_SWEEP_H
#define GEMM_SWEEP_H

#include "gemm_case.h"

/* How many random configs to check: the number in MOE_SWEEP, or `standard`. */
int gemm_sweep_count(int standard);

/* What the random picks start from: the number in MOE_SWEEP_SEED, for others than the usual ones,
 * or `standard`. */
uint64_t gemm_sweep_start(uint64_t standard);

/* Writes the text of a config of op's space that *random picks, and steps *random. */
void gemm_sweep_pick(fixture *f, const char *template, const moe_op *op, uint64_t *random,
                     char text[MOE_CONFIG_TEXT_SIZE]);

/* Checks a config of `each`'s space that *random picks, and steps *random; each->config is
 * unused. */
void gemm_sweep_check(fixture *f, const char *template, const gemm_case *each, uint64_t *random);

#endif
