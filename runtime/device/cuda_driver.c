/* cuda_driver.c - opens the CUDA driver and explains its errors. */
#include "device/cuda_driver.h"

#include "device/library.h"

const moe_library moe_library_cuda = {
    .name = "the CUDA driver",
    .sonames = (const char *const[]){"libcuda.so.1", NULL},
    .advice = "install NVIDIA's driver, version 525 or newer, or use sim:h100",
};

/* What an error means here. Anything else is MOE_E_DEVICE with the driver's own words. */
static const struct {
    CUresult result;
    moe_status status;
    const char *advice;
} errors[] = {
    {CUDA_ERROR_NO_DEVICE, MOE_E_NOT_FOUND,
     "no GPU is visible: see nvidia-smi and CUDA_VISIBLE_DEVICES, or use sim:h100"},
    {CUDA_ERROR_STUB_LIBRARY, MOE_E_LIBRARY,
     "this is the toolkit's stub, not a driver: take it off the library path"},
    {CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, MOE_E_LIBRARY,
     "the kernel module and libcuda differ: reboot after the driver's update"},
    {CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, MOE_E_LIBRARY,
     "the driver is too old for this libcuda: update the driver"},
    {CUDA_ERROR_OUT_OF_MEMORY, MOE_E_MEMORY,
     "out of device memory: free some, or run fewer tokens"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, MOE_E_DEVICE,
     "the code was compiled for another architecture: tune on this GPU"},
    {CUDA_ERROR_UNSUPPORTED_PTX_VERSION, MOE_E_DEVICE,
     "the driver is older than the compiler was: update it, or tune on this machine"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, MOE_E_FAULT, "a kernel left its memory; the process must restart"},
    {CUDA_ERROR_MISALIGNED_ADDRESS, MOE_E_FAULT,
     "a kernel used a misaligned address; the process must restart"},
    {CUDA_ERROR_ILLEGAL_INSTRUCTION, MOE_E_FAULT, "the process must restart"},
    {CUDA_ERROR_INVALID_ADDRESS_SPACE, MOE_E_FAULT, "the process must restart"},
    {CUDA_ERROR_INVALID_PC, MOE_E_FAULT, "the process must restart"},
    {CUDA_ERROR_HARDWARE_STACK_ERROR, MOE_E_FAULT, "the process must restart"},
    {CUDA_ERROR_ASSERT, MOE_E_FAULT, "the process must restart"},
    {CUDA_ERROR_LAUNCH_FAILED, MOE_E_FAULT, "a kernel trapped; the process must restart"},
    {CUDA_ERROR_LAUNCH_TIMEOUT, MOE_E_FAULT, "a kernel ran too long; the process must restart"},
};

moe_status moe_cuda_driver_open(moe_cuda_driver *out) {
    void *handle;
    MOE_TRY(moe_library_open(&moe_library_cuda, &handle, NULL, 0));
#define CU(name, symbol) MOE_TRY(moe_library_symbol(&moe_library_cuda, handle, symbol, &out->name));
#include "device/cuda_driver.def"
#undef CU
    return MOE_OK;
}

moe_status moe_cuda_check(const moe_cuda_driver *driver, CUresult result, const char *call) {
    const char *name = NULL, *text = NULL;
    if (result == CUDA_SUCCESS) return MOE_OK;
    driver->cuGetErrorName(result, &name);
    driver->cuGetErrorString(result, &text);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].result == result)
            return moe_fail(errors[i].status, "%s: %s; %s", call, name ? name : "?",
                            errors[i].advice);
    return moe_fail(MOE_E_DEVICE, "%s: %s (%d): %s", call, name ? name : "unknown error",
                    (int)result, text ? text : "the driver has no text for it");
}
