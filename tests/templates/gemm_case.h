/* gemm_case.h - one run of a grouped GEMM kernel on random rows, judged by the reference. */
#ifndef GEMM_CASE_H
#define GEMM_CASE_H

#include "fixture.h"

typedef struct gemm_case {
    moe_op_kind kind;    /* gemm_up, gemm_down or down_combine */
    const char *layer;   /* its text */
    int64_t tokens;
    moe_routing routing;
    int64_t row_align;   /* of experts' first rows; 0 means 1 */
    const char *config;  /* "" or NULL: the default */
} gemm_case;

/* Builds the kernel of `template`, runs it on maps made here, with the gaps between experts' rows
 * never written, and fails the test unless every live row (down_combine: every token) is right,
 * every gap row untouched, and a second run gives the same bits, or, where sums may come in any
 * order, is right too. Returns a hash of the output. */
uint64_t gemm_case_check(fixture *f, const char *template, const gemm_case *each);

#endif
