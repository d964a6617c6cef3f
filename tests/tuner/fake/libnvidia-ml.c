/* libnvidia-ml.c - a management library of our own: FAKE_GPUS of them, whose SM clock is 1395 MHz.
 * */
#include <stdlib.h>

static int gpu;

int nvmlInit_v2(void) { return 0; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    const char *gpus = getenv("FAKE_GPUS");
    *count = gpus ? (unsigned)atoi(gpus) : 1;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = &gpu;
    return index != 0;
}

int nvmlDeviceGetClockInfo(void *device, int type, unsigned *mhz) {
    *mhz = 1395;
    return device != &gpu || type != 1; /* NVML_CLOCK_SM */
}
