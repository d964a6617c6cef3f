/* cupti.c - kernel times from the GPU's own activity records. */
#include "measure/cupti.h"

#include "device/library.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* What CUPTI calls back, from a thread of its own: for an empty buffer, and with a full one. */
typedef void moe_cupti_request(uint8_t **buffer, size_t *size, size_t *max_records);
typedef void moe_cupti_complete(void *context, uint32_t stream, uint8_t *buffer, size_t size,
                                size_t valid);

typedef struct cupti {
#define LIB(result, name, parameters) result(*name) parameters;
#include "measure/cupti.def"
#undef LIB
} cupti;

enum {
    CONCURRENT_KERNEL = 10, /* CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL */
    BUFFER_SIZE = 256 << 10
};

/* The head of CUpti_ActivityKernel4 and all later versions; what follows differs between them. */
typedef struct kernel_record {
    uint32_t kind;
    uint32_t config, partitioned[2];
    uint64_t start, end; /* ns */
} kernel_record;

static const char *const sonames[] = {"libcupti.so.13", "libcupti.so.12", "libcupti.so.11.8",
                                      "libcupti.so", NULL};
const moe_library moe_library_cupti = {
    "CUPTI", sonames, "install the CUDA toolkit, or run: pip install nvidia-cuda-cupti"};

static cupti table;
static bool ready;
static char version[32];

/* What the callbacks have seen in the present window. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    int64_t kernels;
    uint64_t first, last, sum;
} seen;

static void request_buffer(uint8_t **buffer, size_t *size, size_t *max_records) {
    *buffer = aligned_alloc(8, BUFFER_SIZE);
    *size = *buffer ? BUFFER_SIZE : 0;
    *max_records = 0; /* as many as fit */
}

static void add_kernel(const kernel_record *record) {
    if (!seen.kernels || record->start < seen.first) seen.first = record->start;
    if (!seen.kernels || record->end > seen.last) seen.last = record->end;
    seen.sum += record->end - record->start;
    seen.kernels++;
}

static void complete_buffer(void *context, uint32_t stream, uint8_t *buffer, size_t size,
                            size_t valid) {
    (void)context, (void)stream, (void)size;
    void *record = NULL;
    pthread_mutex_lock(&lock);
    while (valid && !table.cuptiActivityGetNextRecord(buffer, valid, &record)) {
        const kernel_record *kernel = record;
        if (kernel->kind == CONCURRENT_KERNEL) add_kernel(kernel);
    }
    pthread_mutex_unlock(&lock);
    free(buffer);
}

static moe_status check(int result, const char *what) {
    const char *text = "unknown error";
    if (!result) return MOE_OK;
    table.cuptiGetResultString(result, &text);
    return moe_fail(MOE_E_DEVICE, "CUPTI: %s: %s", what, text);
}

static moe_status load(void) {
    void *handle;
    uint32_t number = 0;
    MOE_TRY(moe_library_open(&moe_library_cupti, &handle, NULL, 0));
#define LIB(result, name, parameters)                                                              \
    MOE_TRY(moe_library_symbol(&moe_library_cupti, handle, #name, &table.name));
#include "measure/cupti.def"
#undef LIB
    MOE_TRY(check(table.cuptiGetVersion(&number), "version"));
    MOE_TRY(check(table.cuptiActivityRegisterCallbacks(request_buffer, complete_buffer),
                  "registering"));
    MOE_TRY(check(table.cuptiActivityEnable(CONCURRENT_KERNEL), "switching kernel records on"));
    snprintf(version, sizeof version, "%u", number);
    return MOE_OK;
}

moe_status moe_cupti_open(void) {
    if (!ready) MOE_TRY(load());
    ready = true;
    return MOE_OK;
}

const char *moe_cupti_version(void) { return version; }

moe_status moe_cupti_begin(void) {
    MOE_TRY(check(table.cuptiActivityFlushAll(0), "flushing"));
    pthread_mutex_lock(&lock);
    seen.kernels = 0;
    seen.sum = 0;
    pthread_mutex_unlock(&lock);
    return MOE_OK;
}

moe_status moe_cupti_end(moe_cupti_window *out) {
    MOE_TRY(check(table.cuptiActivityFlushAll(0), "flushing"));
    pthread_mutex_lock(&lock);
    *out = (moe_cupti_window){.kernels = seen.kernels, .sum = (double)seen.sum};
    if (seen.kernels) out->span = (double)(seen.last - seen.first);
    pthread_mutex_unlock(&lock);
    return MOE_OK;
}
