/* cublas.c - NVIDIA's matrix library, opened at run time.
 *
 * cuBLAS works in the context that is current on the calling thread, so every call makes the
 * device's primary context current and restores what was current before. On a device without
 * contexts there is nothing to do. */
#include "cublas.h"

#include "device/cuda_driver.h"

#include <library_types.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Enumerators of cublas_api.h. */
enum { OP_N = 0, OP_T = 1, COMPUTE_32F = 68, ALGORITHM_DEFAULT = -1, NOT_SUPPORTED = 15 };
static const int data_types[MOE_DTYPE_COUNT] = {
#define MOE_DTYPE_NAMES(constant, map, blas, ...) [MOE_##constant] = CUDA_R_##blas,
#include "core/dtype.def"
#undef MOE_DTYPE_NAMES
};

static const char *const sonames[] = {
    "libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so", NULL,
};

const moe_library moe_library_cublas = {
    "cuBLAS",
    sonames,
    "install the CUDA toolkit, or run: pip install nvidia-cublas (or: bash scripts/setup.sh)",
};

moe_status moe_cublas_open(moe_cublas *out) {
    void *handle;
    MOE_TRY(moe_library_open(&moe_library_cublas, &handle, out->path, sizeof out->path));
#define LIB(result, name, parameters)                                                              \
    MOE_TRY(moe_library_symbol(&moe_library_cublas, handle, #name, &out->name));
#include "cublas.def"
#undef LIB
    return MOE_OK;
}

typedef struct cublas_gemm {
    const moe_cublas *library;
    void *handle;
    moe_cuda_driver driver;
    CUdevice device;
    CUcontext context; /* NULL: the device has none */
} cublas_gemm;

#define CHECK(self, call) moe_cuda_check(&(self)->driver, (self)->driver.call, #call)

static moe_status enter(cublas_gemm *self) {
    return self->context ? CHECK(self, cuCtxPushCurrent(self->context)) : MOE_OK;
}

static void leave(cublas_gemm *self) {
    CUcontext popped;
    if (self->context) self->driver.cuCtxPopCurrent(&popped);
}

static moe_status cublas_check(int result, const char *call) {
    if (result == 0) return MOE_OK;
    return moe_fail(MOE_E_DEVICE, "%s failed with cuBLAS status %d%s", call, result,
                    result == NOT_SUPPORTED ? ": this GPU cannot compute in that dtype" : "");
}

/* A row-major product is the product of the transposes in cuBLAS' column-major order:
 * out^T [outputs,rows] = weight [outputs,inputs] @ in^T [inputs,rows]. */
static moe_status cublas_run(void *state, const moe_gemm_call *call, void *stream) {
    cublas_gemm *self = state;
    const float one = 1, zero = 0;
    int rows = (int)call->rows, outputs = (int)call->outputs, inputs = (int)call->inputs;
    int type = data_types[call->dtype];
    if (call->rows > INT_MAX || call->outputs > INT_MAX || call->inputs > INT_MAX)
        return moe_fail(MOE_E_UNSUPPORTED, "a product of more than 2^31 rows");
    MOE_TRY(enter(self));
    moe_status status =
        cublas_check(self->library->cublasSetStream_v2(self->handle, stream), "cublasSetStream");
    if (!status)
        status = cublas_check(
            self->library->cublasGemmEx(self->handle, OP_T, OP_N, outputs, rows, inputs, &one,
                                        (const void *)(uintptr_t)call->weight, type, inputs,
                                        (const void *)(uintptr_t)call->in, type, inputs, &zero,
                                        (void *)(uintptr_t)call->out, data_types[call->out_dtype],
                                        outputs, COMPUTE_32F, ALGORITHM_DEFAULT),
            "cublasGemmEx");
    leave(self);
    return status;
}

static void cublas_close(void *state) {
    cublas_gemm *self = state;
    if (!self) return;
    if (!enter(self)) {
        if (self->handle) self->library->cublasDestroy_v2(self->handle);
        leave(self);
    }
    if (self->context) self->driver.cuDevicePrimaryCtxRelease(self->device);
    free(self);
}

/* Retains the primary context of "cuda:N", which its device works in too. */
static moe_status retain_context(cublas_gemm *self, const char *name) {
    int index = name[4] == ':' ? atoi(name + 5) : 0;
    MOE_TRY(moe_cuda_driver_open(&self->driver));
    MOE_TRY(CHECK(self, cuInit(0)));
    MOE_TRY(CHECK(self, cuDeviceGet(&self->device, index)));
    return CHECK(self, cuDevicePrimaryCtxRetain(&self->context, self->device));
}

moe_status moe_gemm_cublas(const moe_cublas *library, moe_device *device, moe_gemm *out) {
    moe_status status = MOE_OK;
    const char *prefix = device->class->prefix;
    cublas_gemm *self = calloc(1, sizeof *self);
    if (!self) return moe_fail(MOE_E_MEMORY, "no memory for a cuBLAS handle");
    self->library = library;
    if (!strcmp(prefix, "cuda"))
        status = retain_context(self, device->name);
    else if (strcmp(prefix, "null") != 0)
        status = moe_fail(MOE_E_UNSUPPORTED, "%s is no GPU: cuBLAS cannot run there", device->name);
    if (!status) status = enter(self);
    if (!status) {
        status = cublas_check(library->cublasCreate_v2(&self->handle), "cublasCreate");
        leave(self);
    }
    if (!status) {
        *out = (moe_gemm){self, cublas_run, cublas_close};
        return MOE_OK;
    }
    self->handle = NULL;
    cublas_close(self);
    return status;
}
