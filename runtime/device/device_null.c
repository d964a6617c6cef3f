/* device_null.c - a device that accepts everything and runs nothing. */
#include "core/status.h"
#include "device/device_null.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct null_device {
    atomic_llong launches;
} null_device;

/* The facts of an H100, so that plans for one can be made. */
static const moe_facts facts = {
    .arch = "sm_90a", .name = "null", .sm = 90, .sms = 132, .smem = 232448, .smem_sm = 233472,
    .regs_sm = 65536, .threads_sm = 2048, .blocks_sm = 32, .l2 = 52428800,
    .memory = INT64_C(85520809984), .clock = 1980, .bandwidth = 3352, .tensor_rate = 4096,
    .simulated = 1,
};

static moe_status null_open(const char *rest, void **self) {
    if (*rest) return moe_fail(MOE_E_NOT_FOUND, "the null device takes no '%.32s'; use null", rest);
    null_device *device = malloc(sizeof *device);
    if (!device) return moe_fail(MOE_E_MEMORY, "no memory for a handle");
    atomic_init(&device->launches, 0);
    *self = device;
    return MOE_OK;
}

static void null_close(void *self) { free(self); }

static const moe_facts *null_facts(const void *self) {
    (void)self;
    return &facts;
}

static void *pointer(moe_ptr address) { return (void *)(uintptr_t)address; }

static moe_status null_alloc(void *self, size_t bytes, moe_ptr *out) {
    (void)self;
    if (bytes > SIZE_MAX - 511)
        return moe_fail(MOE_E_MEMORY, "no host memory for %zu bytes", bytes);
    void *memory = aligned_alloc(256, (bytes + 256) / 256 * 256); /* never empty */
    if (!memory) return moe_fail(MOE_E_MEMORY, "no host memory for %zu bytes", bytes);
    *out = (uintptr_t)memory;
    return MOE_OK;
}

static moe_status null_free(void *self, moe_ptr address) {
    (void)self;
    free(pointer(address));
    return MOE_OK;
}

static moe_status null_copy_in(void *self, moe_ptr to, const void *host, size_t bytes) {
    (void)self;
    memcpy(pointer(to), host, bytes);
    return MOE_OK;
}

static moe_status null_copy_out(void *self, void *host, moe_ptr from, size_t bytes) {
    (void)self;
    memcpy(host, pointer(from), bytes);
    return MOE_OK;
}

static moe_status null_fill(void *self, moe_ptr to, int byte, size_t bytes, void *stream) {
    (void)self, (void)stream;
    memset(pointer(to), byte, bytes);
    return MOE_OK;
}

static moe_status null_poison(void *self, moe_ptr to, size_t bytes) {
    return null_fill(self, to, 0xff, bytes, NULL);
}

static moe_status null_load(void *self, const moe_image *image, void **module) {
    (void)image;
    *module = self;
    return MOE_OK;
}

static void null_unload(void *self, void *module) { (void)self, (void)module; }

static moe_status null_launch(void *self, void *module, int entry, const moe_dims *dims,
                              const void *args, size_t args_size, void *stream) {
    (void)module, (void)entry, (void)dims, (void)args, (void)args_size, (void)stream;
    null_device *device = self;
    atomic_fetch_add_explicit(&device->launches, 1, memory_order_relaxed);
    return MOE_OK;
}

static moe_status null_sync(void *self, void *stream) {
    (void)self, (void)stream;
    return MOE_OK;
}

static moe_status null_tensor_map(void *self, const moe_tensor_view *tensor, void *map) {
    (void)self;
    memset(map, 0, MOE_TENSOR_MAP_SIZE);
    memcpy(map, &tensor->address, sizeof tensor->address);
    return MOE_OK;
}

static moe_status null_time_begin(void *self) {
    (void)self;
    return MOE_OK;
}

static moe_status null_time_end(void *self, double *nanoseconds) {
    (void)self;
    *nanoseconds = 0;
    return MOE_OK;
}

int64_t moe_null_launches(const moe_device *device) {
    null_device *self = device->self;
    return atomic_load_explicit(&self->launches, memory_order_relaxed);
}

static const char *const null_names[] = {"", NULL};

const moe_device_class moe_device_null = {
    .prefix = "null",
    .help = "accepts every kernel and runs none",
    .open = null_open,
    .close = null_close,
    .facts = null_facts,
    .alloc = null_alloc,
    .free = null_free,
    .copy_in = null_copy_in,
    .copy_out = null_copy_out,
    .fill = null_fill,
    .poison = null_poison,
    .load = null_load,
    .unload = null_unload,
    .launch = null_launch,
    .sync = null_sync,
    .tensor_map = null_tensor_map,
    .time_begin = null_time_begin,
    .time_end = null_time_end,
    .timer = "none",
    .names = null_names,
};
