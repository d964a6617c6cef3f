/* label: sim */
/* test_route_gemm.c - the router GEMM on a simulated GPU against plain loops, on small integers. */
#include "route_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct gemm_case {
    const char *layer, *config;
} gemm_case;

static void run_integers(const char *device, const gemm_case *cases, size_t cases_count,
                         const int64_t *tokens, int count) {
    fixture f;
    fixture_open(&f, device);
    for (size_t i = 0; i < cases_count; i++) {
        moe_layer layer;
        fixture_kernel kernel;
        route_build(&f, cases[i].layer, tokens[0], cases[i].config, &layer, &kernel);
        for (int t = 0; t < count; t++) route_check_integers(&f, &kernel, &layer, tokens[t]);
        fixture_kernel_free(&f, &kernel);
    }
    fixture_close(&f);
}

static void every_shape_by_default_config(void **state) {
    (void)state;
    static const gemm_case cases[] = {
        {"d=8 f=8 e=1 k=1", ""},
        {"d=24 f=8 e=4 k=2 x=f16", ""},
        {"d=40 f=8 e=8 k=2 x=f32 router=softmax>topk", ""},
        {"d=264 f=8 e=40 k=8 router=topk>softmax", ""},
        {"d=1000 f=8 e=60 k=4 bias=router", ""},
        {"d=512 f=8 e=64 k=8 x=f32 bias=router", ""},
        {"d=2048 f=8 e=128 k=8 router=softmax>topk", ""},
        {"d=136 f=8 e=257 k=22", ""},
        {"d=128 f=8 e=512 k=10 x=f16", ""},
        {"d=64 f=8 e=1024 k=16", ""},
        {"d=72 f=8 e=2048 k=32", ""},
        {"d=72 f=8 e=2048 k=1 x=f32", ""},
        {"d=264 f=8 e=60 k=4 router_dtype=f32 bias=router", ""},
        {"d=136 f=8 e=896 k=16 x=f16 router_dtype=f32", ""},
    };
    static const int64_t few[] = {1, 7}, many[] = {129};
    run_integers("sim:a100", cases, sizeof cases / sizeof *cases, few, 2);
    run_integers("sim:l40s", cases, sizeof cases / sizeof *cases, many, 1);
}

static void every_kind_of_config(void **state) {
    (void)state;
    static const gemm_case cases[] = {
        {"d=136 f=8 e=60 k=4", "bt=8 be=64 bk=64 stages=3 warps=4 split=0"},
        {"d=136 f=8 e=60 k=4", "bt=16 be=64 bk=128 stages=3 warps=8 split=0"},
        {"d=136 f=8 e=60 k=4", "bt=128 be=64 bk=64 stages=4 warps=8 split=0"},
        {"d=136 f=8 e=300 k=4", "bt=64 be=128 bk=64 stages=3 warps=8 split=0"},
        {"d=136 f=8 e=300 k=4", "bt=32 be=128 bk=128 stages=2 warps=4 split=0"},
        {"d=136 f=8 e=300 k=4", "bt=16 be=512 bk=64 stages=3 warps=16 split=0"},
        {"d=200 f=8 e=8 k=2", "bt=64 be=16 bk=64 stages=4 warps=4 split=0"},
        {"d=200 f=8 e=8 k=2", "bt=8 be=16 bk=128 stages=2 warps=8 split=0"},
        {"d=1160 f=8 e=60 k=4 bias=router", "bt=16 be=32 bk=128 stages=4 warps=4 split=8"},
        {"d=1160 f=8 e=60 k=4 bias=router", "bt=8 be=16 bk=128 stages=2 warps=8 split=4"},
        {"d=136 f=8 e=60 k=4", "bt=64 be=64 bk=128 stages=2 warps=8 split=1"},
        {"d=136 f=8 e=60 k=4 x=f32", "bt=8 be=64 bk=64 stages=3 warps=4 split=0"},
        {"d=136 f=8 e=300 k=4 x=f32", "bt=32 be=128 bk=64 stages=3 warps=8 split=0"},
        {"d=264 f=8 e=60 k=4 x=f32", "bt=16 be=16 bk=128 stages=4 warps=8 split=2"},
        {"d=136 f=8 e=60 k=4 router_dtype=f32", "bt=8 be=64 bk=64 stages=3 warps=4 split=0"},
        {"d=136 f=8 e=300 k=4 x=f16 router_dtype=f32",
         "bt=32 be=128 bk=128 stages=2 warps=8 split=0"},
        {"d=264 f=8 e=60 k=4 router_dtype=f32", "bt=16 be=16 bk=128 stages=4 warps=4 split=2"},
        {"d=136 f=8 e=60 k=4 x=f16", "bt=64 be=32 bk=128 stages=4 warps=8 split=2"},
    };
    static const int64_t tokens[] = {7, 133};
    run_integers("sim:h100", cases, sizeof cases / sizeof *cases, tokens, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_by_default_config),
        cmocka_unit_test(every_kind_of_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
