/* library.h - shared libraries that are opened at run time and never linked.
 *
 * Each library has one X-macro table of its functions, LIB(name), which declares a struct of
 * function pointers and fills it. Search order: MOETUNE_CUDA, CUDA_HOME (their lib64, lib and
 * extras/CUPTI/lib64 folders), the loader's path, /usr/local/cuda, /usr/local/nvidia, .deps beside
 * the program's folder (scripts/setup.sh), the nvidia/<part>/lib folders of Python environments
 * (VIRTUAL_ENV, that of the python3 on the path, site-packages of python3 versions, user site). */
#ifndef MOE_LIBRARY_H
#define MOE_LIBRARY_H

#include "core/status.h"

/* What a library is called and what to tell someone who lacks it. */
typedef struct moe_library {
    const char *name;           /* "NVRTC" */
    const char *const *sonames; /* newest first, NULL-terminated: "libnvrtc.so.13", ... */
    const char *advice;         /* "install the CUDA toolkit, or: pip install nvidia-cuda-nvrtc" */
} moe_library;

/* Opens the first soname found; the handle is never closed. `path` (size >= 512, may be NULL) gets
 * the file that was opened. MOE_E_LIBRARY with the advice. */
moe_status moe_library_open(const moe_library *library, void **handle, char *path, size_t size);

/* A function of an opened library. MOE_E_LIBRARY naming the symbol if it has none. */
moe_status moe_library_symbol(const moe_library *library, void *handle, const char *symbol,
                              void *function);

/* The folder of the running program, without a final slash, in `folder` (size bytes), which is also
 * returned; "" if the system does not tell. */
const char *moe_program_folder(char *folder, size_t size);

#endif
