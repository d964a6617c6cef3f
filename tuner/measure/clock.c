/* clock.c - how fast a GPU runs at the moment, by NVIDIA's management library. */
#include "measure/clock.h"

#include "device/library.h"

enum { SM_CLOCK = 1 }; /* NVML_CLOCK_SM */

static const char *const sonames[] = {"libnvidia-ml.so.1", NULL};
static const moe_library library = {"NVML", sonames, "it comes with NVIDIA's driver"};

static struct {
#define LIB(result, name, parameters) result(*name) parameters;
#include "measure/nvml.def"
#undef LIB
    void *device; /* NULL: not known */
    bool tried;
} nvml;

static moe_status load(void) {
    void *handle;
    MOE_TRY(moe_library_open(&library, &handle, NULL, 0));
#define LIB(result, name, parameters)                                                              \
    MOE_TRY(moe_library_symbol(&library, handle, #name, &nvml.name));
#include "measure/nvml.def"
#undef LIB
    return MOE_OK;
}

static void find_device(void) {
    unsigned count = 0;
    nvml.tried = true;
    if (load() || nvml.nvmlInit_v2() || nvml.nvmlDeviceGetCount_v2(&count) || count != 1) return;
    if (nvml.nvmlDeviceGetHandleByIndex_v2(0, &nvml.device)) nvml.device = NULL;
}

int64_t moe_clock_mhz(void) {
    unsigned mhz = 0;
    if (!nvml.tried) find_device();
    if (!nvml.device || nvml.nvmlDeviceGetClockInfo(nvml.device, SM_CLOCK, &mhz)) return 0;
    return mhz;
}
