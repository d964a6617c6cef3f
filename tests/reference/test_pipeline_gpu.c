/* label: gpu */
/* test_pipeline_gpu.c - the library pipeline as it is meant: cuBLAS on a GPU. */
#include "pipeline_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static int skip_all(void) {
    fprintf(stderr, "skipped: %s\n", moe_error_text());
    return 77;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipeline_experts_agree),
        cmocka_unit_test(pipeline_routing_agrees),
        cmocka_unit_test(pipeline_empty_batch),
    };
    static moe_cublas library;
    moe_device *device;
    moe_gemm gemm;
    if (moe_device_open("cuda:0", &device) || moe_cublas_open(&library)) return skip_all();
    if (moe_gemm_cublas(&library, device, &gemm)) {
        fprintf(stderr, "%s\n", moe_error_text());
        return 1;
    }
    pipeline_case_use(device, &gemm);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gemm.close(gemm.self);
    moe_device_close(device);
    return failed;
}
