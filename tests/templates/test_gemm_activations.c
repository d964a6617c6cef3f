/* label: sim
 * test_gemm_activations.c - default grouped GEMMs with every activation, dtype and bias. */
#include "gemm_case.h"

#include "core/layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static fixture f;

static int open_device(void **state) {
    (void)state;
    fixture_open(&f, "sim:a100");
    return 0;
}

static int close_device(void **state) {
    (void)state;
    fixture_close(&f);
    return 0;
}

/* All activations of up weights in one dtype; every second one has a bias. */
static void check_activations(const char *dtype) {
    for (int i = 0; i < MOE_ACT_NONE; i++) {
        char layer[256];
        snprintf(layer, sizeof layer, "d=40 f=24 e=5 k=2 act=%s%s x=%s bias=%s", moe_act_names[i],
                 i == MOE_ACT_SWIGLU_CLAMP ? "(1.5,1.702)" : "", dtype, i % 2 ? "none" : "up");
        gemm_case_check(&f, "grouped_gemm", &(gemm_case){MOE_OP_gemm_up, layer, .tokens = 33});
    }
}

static void bf16_activations(void **state) {
    (void)state;
    check_activations("bf16");
}

static void f16_activations(void **state) {
    (void)state;
    check_activations("f16");
}

static void f32_activations(void **state) {
    (void)state;
    check_activations("f32");
}

static void down_with_and_without_bias(void **state) {
    (void)state;
    for (int i = 0; i < 2 * MOE_FLOATS; i++) {
        char layer[256];
        snprintf(layer, sizeof layer, "d=40 f=72 e=5 k=2 x=%s bias=%s", moe_dtype_names[i / 2],
                 i % 2 ? "none" : "up,down");
        gemm_case_check(&f, "grouped_gemm", &(gemm_case){MOE_OP_gemm_down, layer, .tokens = 33});
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bf16_activations),
        cmocka_unit_test(f16_activations),
        cmocka_unit_test(f32_activations),
        cmocka_unit_test(down_with_and_without_bias),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
