/* nvrtc.h - NVIDIA's run-time compiler, opened at run time. */
#ifndef MOE_NVRTC_H
#define MOE_NVRTC_H

#include "device/library.h"

typedef struct moe_nvrtc {
#define LIB(result, name, parameters) result(*name) parameters;
#include "compile/nvrtc.def"
#undef LIB
    char path[512];   /* the file that was opened */
    char version[32]; /* "13.0" */
} moe_nvrtc;

enum { MOE_NVRTC_SUCCESS = 0, MOE_NVRTC_COMPILATION_FAILED = 6, MOE_NVRTC_BAD_OPTION = 5 };

extern const moe_library moe_library_nvrtc;

/* Opens the library on the first call; later calls give the same struct. Safe between threads.
 * MOE_E_LIBRARY with the way to get it. */
moe_status moe_nvrtc_open(const moe_nvrtc **out);

#endif
