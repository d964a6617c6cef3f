/* label: sim */
/* test_pipeline.c - the library pipeline on a simulated GPU, with a GEMM of plain loops on the host
 * in cuBLAS' place. */
#include "pipeline_case.h"
#include "reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static moe_status loops_run(void *self, const moe_gemm_call *call, void *stream) {
    (void)stream;
    moe_device *device = self;
    int64_t n = call->rows * call->outputs;
    void *in = pipeline_copy_out(call->in, call->rows * call->inputs, call->dtype);
    void *weight = pipeline_copy_out(call->weight, call->outputs * call->inputs, call->dtype);
    void *out = malloc((size_t)n * moe_dtype_size(call->out_dtype));
    for (int64_t i = 0; i < n; i++) {
        float sum = 0;
        int64_t row = i / call->outputs * call->inputs, output = i % call->outputs * call->inputs;
        for (int64_t k = 0; k < call->inputs; k++)
            sum += (float)(moe_load(call->dtype, in, row + k) *
                           moe_load(call->dtype, weight, output + k));
        moe_store(call->out_dtype, out, i, (double)sum);
    }
    moe_status status = moe_device_copy_in(device, (void *)(uintptr_t)call->out, out,
                                           (size_t)n * moe_dtype_size(call->out_dtype));
    free(in);
    free(weight);
    free(out);
    return status;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipeline_experts_agree),
        cmocka_unit_test(pipeline_routing_agrees),
        cmocka_unit_test(pipeline_empty_batch),
    };
    moe_device *device;
    if (moe_device_open("sim:a100", &device)) {
        fprintf(stderr, "%s\n", moe_error_text());
        return 1;
    }
    const moe_gemm gemm = {device, loops_run, NULL};
    pipeline_case_use(device, &gemm);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    moe_device_close(device);
    return failed;
}
