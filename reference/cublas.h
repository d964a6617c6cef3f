/* cublas.h - NVIDIA's matrix library, opened at run time, as a GEMM for the reference pipeline. */
#ifndef MOE_CUBLAS_H
#define MOE_CUBLAS_H

#include "device/device.h"
#include "device/library.h"

/* One pointer for each row of cublas.def. */
typedef struct moe_cublas {
#define LIB(result, name, parameters) result(*name) parameters;
#include "cublas.def"
#undef LIB
    char path[512]; /* the file that was opened */
} moe_cublas;

extern const moe_library moe_library_cublas;

/* Opens the library; it is never closed. MOE_E_LIBRARY with what to install. */
moe_status moe_cublas_open(moe_cublas *out);

/* out [rows,outputs] = in [rows,inputs] @ weight [outputs,inputs]^T, sums in fp32. */
typedef struct moe_gemm_call {
    moe_dtype dtype;     /* of in and weight */
    moe_dtype out_dtype; /* the same, or f32 */
    int64_t rows, outputs, inputs;
    moe_ptr in, weight, out;
} moe_gemm_call;

/* Something that can run such products on a device. */
typedef struct moe_gemm {
    void *self;
    moe_status (*run)(void *self, const moe_gemm_call *call, void *stream);
    void (*close)(void *self);
} moe_gemm;

/* A GEMM by cuBLAS on a GPU ("cuda:N"); `library` must stay. f32 is computed in fp32, not tf32.
 * MOE_E_UNSUPPORTED (not a GPU), MOE_E_DEVICE, MOE_E_MEMORY. */
moe_status moe_gemm_cublas(const moe_cublas *library, moe_device *device, moe_gemm *out);

#endif
