/* decode_case.h - tests of GEMMs for few rows an expert, on simulated GPUs: defaults on awkward
 * shapes and routings, configs from all over the spaces, and other orders of warps. */
#ifndef DECODE_CASE_H
#define DECODE_CASE_H

#include "gemm_sweep.h"

typedef struct decode_subject {
    const char *template, *device;
    int kinds; /* of gemm_up, gemm_down and down_combine, the first that it serves */
} decode_subject;

/* All kinds of a subject on one layer. */
void decode_case_check(fixture *f, const decode_subject *s, const char *layer, int64_t tokens,
                       moe_routing routing);

/* Tests, of the subject that is their state. */
void decode_defaults_on_awkward_shapes(void **state);
void decode_configs_from_all_over_the_space(void **state);
void decode_any_order_of_warps(void **state);

#define DECODE_TESTS(subject)                                                                      \
    cmocka_unit_test_prestate(decode_defaults_on_awkward_shapes, &subject),                        \
        cmocka_unit_test_prestate(decode_configs_from_all_over_the_space, &subject),               \
        cmocka_unit_test_prestate(decode_any_order_of_warps, &subject)

#endif
