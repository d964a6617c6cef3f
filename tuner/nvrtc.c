/* nvrtc.c - NVIDIA's run-time compiler, opened at run time. */
#include "nvrtc.h"

#include "library.h"

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

static moe_status load(moe_nvrtc *nvrtc) {
    void *handle;
    int major = 0, minor = 0;
    MOE_TRY(moe_library_open(&moe_library_nvrtc, &handle, nvrtc->path, sizeof nvrtc->path));
#define LIB(result, name, parameters)                                                              \
    MOE_TRY(moe_library_symbol(&moe_library_nvrtc, handle, #name, &nvrtc->name));
#include "nvrtc.def"
#undef LIB
    if (nvrtc->nvrtcVersion(&major, &minor))
        return moe_fail(MOE_E_LIBRARY, "NVRTC: %s does not tell its version; reinstall it",
                        nvrtc->path);
    snprintf(nvrtc->version, sizeof nvrtc->version, "%d.%d", major, minor);
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
