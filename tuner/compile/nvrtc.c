/* nvrtc.c - NVIDIA's run-time compiler, opened at run time. */
#include "compile/nvrtc.h"

#include "device/library.h"

#include <dlfcn.h>
#include <glob.h>
#include <libgen.h>
#include <pthread.h>
#include <stdio.h>

static const char *const sonames[] = {
    "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so", NULL,
};

const moe_library moe_library_nvrtc = {
    "NVRTC", sonames,
    "install the CUDA toolkit, or run: pip install nvidia-cuda-nvrtc (or: bash scripts/setup.sh)",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static moe_nvrtc loaded;
static bool ready;

/* NVRTC opens its builtins by name when it first compiles, and has no search path of its own: where
 * it lies outside the loader's path, as in a wheel, they must be in the process by then. If they
 * are missing, the first compile says so. */
static void open_builtins(const char *nvrtc) {
    char folder[512], pattern[600];
    glob_t files;
    snprintf(folder, sizeof folder, "%s", nvrtc);
    snprintf(pattern, sizeof pattern, "%s/libnvrtc-builtins.so.*", dirname(folder));
    if (glob(pattern, 0, NULL, &files) != 0) return;
    for (size_t i = 0; i < files.gl_pathc; i++) dlopen(files.gl_pathv[i], RTLD_NOW | RTLD_GLOBAL);
    globfree(&files);
}

static moe_status load(moe_nvrtc *nvrtc) {
    void *handle;
    int major = 0, minor = 0;
    MOE_TRY(moe_library_open(&moe_library_nvrtc, &handle, nvrtc->path, sizeof nvrtc->path));
#define LIB(result, name, parameters)                                                              \
    MOE_TRY(moe_library_symbol(&moe_library_nvrtc, handle, #name, &nvrtc->name));
#include "compile/nvrtc.def"
#undef LIB
    if (nvrtc->nvrtcVersion(&major, &minor))
        return moe_fail(MOE_E_LIBRARY, "NVRTC: %s does not tell its version; reinstall it",
                        nvrtc->path);
    snprintf(nvrtc->version, sizeof nvrtc->version, "%d.%d", major, minor);
    open_builtins(nvrtc->path);
    return MOE_OK;
}

moe_status moe_nvrtc_open(const moe_nvrtc **out) {
    moe_status status = MOE_OK;
    pthread_mutex_lock(&lock);
    if (!ready) status = load(&loaded);
    ready = !status;
    pthread_mutex_unlock(&lock);
    if (!status) *out = &loaded;
    return status;
}
