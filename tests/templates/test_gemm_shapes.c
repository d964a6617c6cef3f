/* label: sim
 * test_gemm_shapes.c - the grouped GEMMs' default kernels on awkward sizes and loads of experts. */
#include "gemm_case.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define UP MOE_OP_gemm_up
#define DOWN MOE_OP_gemm_down

/* Sizes are multiples of 8 only; tiles stick out in every direction. */
static const gemm_case sizes[] = {
    {UP, "d=8 f=8 e=1 k=1 act=relu", .tokens = 1},
    {DOWN, "d=8 f=8 e=1 k=1", .tokens = 1},
    {UP, "d=24 f=40 e=4 k=1 x=f16", .tokens = 7},
    {DOWN, "d=24 f=16 e=4 k=3 x=f16", .tokens = 7},
    {UP, "d=176 f=352 e=4 k=2", .tokens = 129},
    {DOWN, "d=352 f=176 e=4 k=2", .tokens = 129},
    {UP, "d=352 f=24 e=3 k=2 x=f32", .tokens = 100},
    {DOWN, "d=40 f=352 e=3 k=2 x=f32", .tokens = 100},
    {UP, "d=16 f=8 e=257 k=8", .tokens = 64},
    {DOWN, "d=8 f=24 e=257 k=6", .tokens = 64},
    {UP, "d=24 f=16 e=1024 k=8 x=f16", .tokens = 20},
    /* Weights multiply the inputs, to which a bias does not belong. */
    {UP, "d=88 f=40 e=6 k=2 layout=interleaved router=topk>sigmoid>input bias=up", .tokens = 40},
    {UP, "d=24 f=16 e=3 k=2 act=gelu x=f32 router=topk>softmax>input bias=up", .tokens = 33},
};

/* Empty experts, one expert for all, lopsided loads, dropped rows, and gaps between experts. */
static const gemm_case loads[] = {
    {UP, "d=72 f=40 e=40 k=4", .tokens = 64, .row_align = 16},
    {DOWN, "d=40 f=72 e=40 k=4", .tokens = 64, .row_align = 16},
    {UP, "d=72 f=40 e=16 k=1", .tokens = 150, .routing = MOE_ROUTING_ONE},
    {DOWN, "d=72 f=40 e=16 k=1", .tokens = 150, .routing = MOE_ROUTING_ONE, .row_align = 128},
    {UP, "d=72 f=40 e=9 k=2", .tokens = 70, .routing = MOE_ROUTING_EMPTY, .row_align = 128},
    {DOWN, "d=72 f=40 e=9 k=2 x=f32", .tokens = 70, .routing = MOE_ROUTING_EMPTY},
    {UP, "d=72 f=40 e=12 k=3 capacity=0.5", .tokens = 90, .routing = MOE_ROUTING_ZIPF},
    {DOWN, "d=72 f=40 e=12 k=3", .tokens = 90, .routing = MOE_ROUTING_ZIPF, .row_align = 16},
    {UP, "d=72 f=40 e=64 k=8", .tokens = 1},
    {DOWN, "d=72 f=40 e=64 k=8 x=f16", .tokens = 1},
};

static void check_all(const char *device, const gemm_case *cases, size_t count) {
    fixture f;
    fixture_open(&f, device);
    for (size_t i = 0; i < count; i++) gemm_case_check(&f, "grouped_gemm", &cases[i]);
    fixture_close(&f);
}

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void awkward_sizes(void **state) {
    (void)state;
    check_all("sim:a100", sizes, COUNT(sizes));
}

static void uneven_loads(void **state) {
    (void)state;
    check_all("sim:h100", loads, COUNT(loads));
}

static void any_order_of_warps(void **state) {
    (void)state;
    check_all("sim:l40s,seed=11", loads + 2, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(awkward_sizes),
        cmocka_unit_test(uneven_loads),
        cmocka_unit_test(any_order_of_warps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
