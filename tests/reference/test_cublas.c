/* label: unit */
/* test_cublas.c - how a row-major product is put to a column-major library, tried on a library of
 * our own that does what cuBLAS documents; and the real one's functions where it is installed. */
#include "cublas.h"
#include "reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int handles, stream_set, next_result;

static int fake_create(void **handle) {
    handles++;
    *handle = &handles;
    return next_result;
}

static int fake_destroy(void *handle) {
    assert_ptr_equal(handle, &handles);
    handles--;
    return 0;
}

static int fake_version(void *handle, int *version) {
    (void)handle;
    *version = 130000;
    return 0;
}

static int fake_stream(void *handle, void *stream) {
    assert_ptr_equal(handle, &handles);
    stream_set = stream == &stream_set;
    return 0;
}

static moe_dtype dtype_of(int type) {
    assert_true(type == 14 || type == 2 || type == 0); /* CUDA_R_16BF, CUDA_R_16F, CUDA_R_32F */
    return type == 14 ? MOE_BF16 : type == 2 ? MOE_F16 : MOE_F32;
}

/* C = alpha op(A) op(B) + beta C, column-major: element (i,j) of X stands at X[i + j*ldx]. op: 0 as
 * it is, 1 transposed. As the cuBLAS manual has it. */
static int fake_gemm(void *handle, int transa, int transb, int m, int n, int k, const void *alpha,
                     const void *a, int a_type, int lda, const void *b, int b_type, int ldb,
                     const void *beta, void *c, int c_type, int ldc, int compute_type,
                     int algorithm) {
    assert_ptr_equal(handle, &handles);
    assert_int_equal(compute_type, 68); /* CUBLAS_COMPUTE_32F: alpha and beta are floats */
    assert_int_equal(algorithm, -1);
    assert_true(lda >= (transa ? k : m) && ldb >= (transb ? n : k) && ldc >= m);
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < m; i++) {
            double sum = 0;
            for (int p = 0; p < k; p++)
                sum += moe_load(dtype_of(a_type), a, transa ? p + i * lda : i + p * lda) *
                       moe_load(dtype_of(b_type), b, transb ? j + p * ldb : p + j * ldb);
            assert_true(*(const float *)beta == 0);
            moe_store(dtype_of(c_type), c, i + j * ldc, (double)*(const float *)alpha * sum);
        }
    }
    return next_result;
}

static const moe_cublas fake = {.cublasCreate_v2 = fake_create,
                                .cublasDestroy_v2 = fake_destroy,
                                .cublasGetVersion_v2 = fake_version,
                                .cublasSetStream_v2 = fake_stream,
                                .cublasGemmEx = fake_gemm};

static void products_are_row_major(void **state) {
    (void)state;
    enum { ROWS = 3, OUTPUTS = 5, INPUTS = 4 };
    moe_device *device;
    moe_gemm gemm;
    assert_int_equal(moe_device_open("null", &device), MOE_OK);
    assert_int_equal(moe_gemm_cublas(&fake, device, &gemm), MOE_OK);
    for (moe_dtype dtype = 0; (int)dtype < MOE_FLOATS; dtype++) {
        for (int wide = 0; wide < 2; wide++) {
            float in[ROWS * INPUTS], weight[OUTPUTS * INPUTS], out[ROWS * OUTPUTS]; /* big enough */
            moe_dtype out_dtype = wide ? MOE_F32 : dtype;
            for (int i = 0; i < ROWS * INPUTS; i++) moe_store(dtype, in, i, i % 7 - 3);
            for (int i = 0; i < OUTPUTS * INPUTS; i++) moe_store(dtype, weight, i, i % 5 - 2);
            const moe_gemm_call call = {dtype,
                                        out_dtype,
                                        ROWS,
                                        OUTPUTS,
                                        INPUTS,
                                        (moe_ptr)(uintptr_t)in,
                                        (moe_ptr)(uintptr_t)weight,
                                        (moe_ptr)(uintptr_t)out};
            stream_set = 0;
            assert_int_equal(gemm.run(gemm.self, &call, &stream_set), MOE_OK);
            assert_true(stream_set);
            for (int r = 0; r < ROWS; r++) {
                for (int o = 0; o < OUTPUTS; o++) {
                    double sum = 0;
                    for (int i = 0; i < INPUTS; i++)
                        sum += ((r * INPUTS + i) % 7 - 3) * ((o * INPUTS + i) % 5 - 2);
                    assert_true(moe_load(out_dtype, out, r * OUTPUTS + o) == sum);
                }
            }
        }
    }
    gemm.close(gemm.self);
    assert_int_equal(handles, 0);
    moe_device_close(device);
}

static void failures_are_told(void **state) {
    (void)state;
    moe_device *device;
    moe_gemm gemm;
    float one = 1;
    assert_int_equal(moe_device_open("null", &device), MOE_OK);
    assert_int_equal(moe_gemm_cublas(&fake, device, &gemm), MOE_OK);
    const moe_ptr p = (moe_ptr)(uintptr_t)&one;
    next_result = 15;
    assert_int_equal(
        gemm.run(gemm.self, &(moe_gemm_call){MOE_F32, MOE_F32, 1, 1, 1, p, p, p}, NULL),
        MOE_E_DEVICE);
    assert_non_null(strstr(moe_error_text(), "cublasGemmEx failed with cuBLAS status 15"));
    assert_int_equal(gemm.run(gemm.self, &(moe_gemm_call){.rows = INT64_C(1) << 31}, NULL),
                     MOE_E_UNSUPPORTED);
    gemm.close(gemm.self);
    next_result = 1;
    assert_int_equal(moe_gemm_cublas(&fake, device, &gemm), MOE_E_DEVICE);
    next_result = 0;
    moe_device_close(device);
}

/* The real library needs no GPU to be opened. */
static void installed_library_has_the_functions(void **state) {
    (void)state;
    moe_cublas library;
    if (moe_cublas_open(&library)) {
        assert_non_null(strstr(moe_error_text(), "cuBLAS"));
        print_message("skipped: %s\n", moe_error_text());
        skip();
    }
    assert_non_null(library.cublasGemmEx);
    assert_true(library.path[0] != '\0');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_row_major),
        cmocka_unit_test(failures_are_told),
        cmocka_unit_test(installed_library_has_the_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
