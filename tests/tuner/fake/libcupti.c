/* libcupti.c - a CUPTI of our own: kernel records are what a test says, and come back through the
 * callbacks, from another thread, when they are flushed, as in the real one. FAKE_CUPTI_REFUSE in
 * the environment refuses to record. */
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void request(uint8_t **buffer, size_t *size, size_t *max_records);
typedef void complete(void *context, uint32_t stream, uint8_t *buffer, size_t size, size_t valid);

/* CUpti_ActivityKernel9 is 224 bytes; what matters stands in front. */
typedef struct record {
    uint32_t kind, config, partitioned[2];
    uint64_t start, end;
    uint8_t rest[192];
} record;

enum { KERNEL = 10, MEMSET = 2, MAX_PENDING = 10000, REFUSED = 35 };

static request *on_request;
static complete *on_complete;
static record pending[MAX_PENDING];
static size_t pendings;

int cuptiGetVersion(uint32_t *version) {
    *version = 130000;
    return 0;
}

int cuptiGetResultString(int result, const char **text) {
    *text = result == REFUSED ? "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES" : "CUPTI_ERROR_UNKNOWN";
    return 0;
}

int cuptiActivityRegisterCallbacks(request *requested, complete *completed) {
    on_request = requested;
    on_complete = completed;
    return 0;
}

int cuptiActivityEnable(int kind) {
    return kind == KERNEL && getenv("FAKE_CUPTI_REFUSE") ? REFUSED : 0;
}

int cuptiActivityDisable(int kind) {
    (void)kind;
    return 0;
}

/* As many records a buffer as fit. */
static void *deliver(void *unused) {
    for (size_t done = 0; done < pendings;) {
        uint8_t *buffer = NULL;
        size_t size = 0, most = 0, used = 0;
        on_request(&buffer, &size, &most);
        for (; done < pendings && used + sizeof(record) <= size; used += sizeof(record))
            memcpy(buffer + used, &pending[done++], sizeof(record));
        on_complete(NULL, 0, buffer, size, used);
    }
    pendings = 0;
    return unused;
}

int cuptiActivityFlushAll(uint32_t flag) {
    pthread_t thread;
    (void)flag;
    if (pthread_create(&thread, NULL, deliver, NULL)) return 999;
    return pthread_join(thread, NULL) ? 999 : 0;
}

int cuptiActivityGetNextRecord(uint8_t *buffer, size_t valid, void **out) {
    uint8_t *next = *out ? (uint8_t *)*out + sizeof(record) : buffer;
    if (next + sizeof(record) > buffer + valid) return 12; /* CUPTI_ERROR_MAX_LIMIT_REACHED */
    *out = next;
    return 0;
}

/* For tests: something ran on the GPU. */
void fake_cupti_kernel(uint64_t start, uint64_t end) {
    pending[pendings++] = (record){.kind = KERNEL, .start = start, .end = end};
}

void fake_cupti_memset(uint64_t start, uint64_t end) {
    pending[pendings++] = (record){.kind = MEMSET, .start = start, .end = end};
}
