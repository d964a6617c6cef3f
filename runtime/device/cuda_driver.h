/* cuda_driver.h - the CUDA driver's functions, opened at run time, and its errors as ours. */
#ifndef MOE_CUDA_DRIVER_H
#define MOE_CUDA_DRIVER_H

#include "device/library.h"

#include <cuda.h>

/* One pointer for each row of cuda_driver.def. The header renames some functions by macro; member
 * and use are renamed alike. */
typedef struct moe_cuda_driver {
#define CU(name, symbol) __typeof__(name) *name;
#include "device/cuda_driver.def"
#undef CU
} moe_cuda_driver;

extern const moe_library moe_library_cuda;

/* Opens libcuda.so.1 and resolves every function; the result is never closed. MOE_E_LIBRARY. */
moe_status moe_cuda_driver_open(moe_cuda_driver *out);

/* MOE_OK for CUDA_SUCCESS; else a failure that names the call, the error and what to do now. */
moe_status moe_cuda_check(const moe_cuda_driver *driver, CUresult result, const char *call);

#endif
