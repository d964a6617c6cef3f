/* device_cuda.c - a real GPU through the CUDA driver API.
 *
 * It works in the device's primary context, which frameworks share, so their pointers and streams
 * are valid here. Every entry makes that context current and restores what was current before, so
 * any thread may call. What a launch needs is prepared at load. */
#include "core/text.h"
#include "device/cuda_driver.h"
#include "device/device.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JIT_LOG_SIZE = 4096, PORTABLE_CLUSTER = 8, NAME_SIZE = 96 };

typedef struct cuda_device {
    moe_cuda_driver cu;
    CUdevice device;
    CUcontext context;
    CUevent begin, end;
    moe_facts facts;
    char driver[48];
    pthread_mutex_t flush_lock; /* guards the two below */
    CUdeviceptr flush;          /* twice the L2, made at first use */
    size_t flush_size;
} cuda_device;

typedef struct cuda_module {
    CUmodule module;
    CUfunction function[MOE_MAX_KERNELS];
} cuda_module;

/* Calls the driver and fails with the call's name. Needs `self` in scope. */
#define CHECK(call) moe_cuda_check(&self->cu, self->cu.call, #call)

static moe_status enter(cuda_device *self) { return CHECK(cuCtxPushCurrent(self->context)); }

/* Restores the caller's context. The first failure is the one that counts. */
static moe_status leave(cuda_device *self, moe_status status) {
    CUcontext popped;
    CUresult result = self->cu.cuCtxPopCurrent(&popped);
    return status ? status : moe_cuda_check(&self->cu, result, "cuCtxPopCurrent");
}

/* Most callers of launches are frameworks, in whose threads the primary context is current
 * already. */
static bool is_inside(cuda_device *self) {
    CUcontext current = NULL;
    return self->cu.cuCtxGetCurrent(&current) == CUDA_SUCCESS && current == self->context;
}

/* ---------------------------------------------------------------------------------------- facts */

static moe_status attribute(cuda_device *self, CUdevice_attribute which, int64_t *out) {
    int value = 0;
    MOE_TRY(CHECK(cuDeviceGetAttribute(&value, which, self->device)));
    *out = value;
    return MOE_OK;
}

static moe_status read_attributes(cuda_device *self) {
    const struct {
        CUdevice_attribute which;
        int64_t *out;
    } rows[] = {
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &self->facts.sms},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &self->facts.smem},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, &self->facts.smem_sm},
        {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, &self->facts.regs_sm},
        {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, &self->facts.threads_sm},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, &self->facts.blocks_sm},
        {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, &self->facts.l2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        MOE_TRY(attribute(self, rows[i].which, rows[i].out));
    return MOE_OK;
}

/* Capabilities from 9.0 on have instructions of their own, which only the 'a' target offers. */
static moe_status read_arch(cuda_device *self) {
    int64_t major, minor;
    MOE_TRY(attribute(self, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major));
    MOE_TRY(attribute(self, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor));
    self->facts.sm = major * 10 + minor;
    snprintf(self->facts.arch, sizeof self->facts.arch, "sm_%d%s", (int)self->facts.sm,
             major >= 9 ? "a" : "");
    return MOE_OK;
}

/* Clocks come in kHz; memory moves twice a clock. */
static moe_status read_speeds(cuda_device *self) {
    int64_t clock, memory_clock, bus;
    MOE_TRY(attribute(self, CU_DEVICE_ATTRIBUTE_CLOCK_RATE, &clock));
    MOE_TRY(attribute(self, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, &memory_clock));
    MOE_TRY(attribute(self, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, &bus));
    self->facts.clock = clock / 1000;
    self->facts.bandwidth = memory_clock * 2 * (bus / 8) / 1000000;
    return MOE_OK;
}

static moe_status read_facts(cuda_device *self) {
    size_t memory = 0;
    MOE_TRY(CHECK(cuDeviceGetName(self->facts.name, NAME_SIZE, self->device)));
    self->facts.name[NAME_SIZE - 1] = '\0';
    MOE_TRY(CHECK(cuDeviceTotalMem(&memory, self->device)));
    self->facts.memory = (int64_t)memory;
    MOE_TRY(read_arch(self));
    MOE_TRY(read_attributes(self));
    MOE_TRY(read_speeds(self));
    moe_facts_complete(&self->facts);
    if (self->facts.sm < 80)
        return moe_fail(MOE_E_UNSUPPORTED, "%s is %s; kernels need sm_80 or newer",
                        self->facts.name, self->facts.arch);
    return MOE_OK;
}

/* "13.0/580.65.06": what the driver's API is, and the kernel module's version where it is told. */
static moe_status read_driver(cuda_device *self) {
    int version = 0;
    char line[256] = "", *number = NULL;
    MOE_TRY(CHECK(cuDriverGetVersion(&version)));
    moe_text out = moe_text_start(self->driver, sizeof self->driver);
    moe_text_add(&out, "%d.%d", version / 1000, version % 1000 / 10);
    FILE *file = fopen("/proc/driver/nvidia/version", "r");
    if (!file) return MOE_OK;
    if (fgets(line, sizeof line, file)) number = strstr(line, "  ");
    if (number) number += strspn(number, " ");
    if (number && *number >= '0' && *number <= '9')
        moe_text_add(&out, "/%.*s", (int)strcspn(number, " \n"), number);
    fclose(file);
    return MOE_OK;
}

/* ---------------------------------------------------------------------------------- open, close */

static moe_status choose(cuda_device *self, const char *rest) {
    int64_t index = 0;
    int count = 0;
    if (*rest && moe_integer_parse(rest, &index))
        return moe_fail(MOE_E_NOT_FOUND, "'%.32s' is not a GPU's number; use cuda:0", rest);
    MOE_TRY(CHECK(cuInit(0)));
    MOE_TRY(CHECK(cuDeviceGetCount(&count)));
    if (index < 0 || index >= count)
        return moe_fail(MOE_E_NOT_FOUND, "there are %d GPUs, numbered from 0", count);
    return CHECK(cuDeviceGet(&self->device, (int)index));
}

static moe_status make_events(cuda_device *self) {
    MOE_TRY(CHECK(cuEventCreate(&self->begin, CU_EVENT_DEFAULT)));
    return CHECK(cuEventCreate(&self->end, CU_EVENT_DEFAULT));
}

static void cuda_close(void *object) {
    cuda_device *self = object;
    if (self->context && self->cu.cuCtxPushCurrent(self->context) == CUDA_SUCCESS) {
        CUcontext popped;
        if (self->begin) self->cu.cuEventDestroy(self->begin);
        if (self->end) self->cu.cuEventDestroy(self->end);
        if (self->flush) self->cu.cuMemFree(self->flush);
        self->cu.cuCtxPopCurrent(&popped);
    }
    if (self->context) self->cu.cuDevicePrimaryCtxRelease(self->device);
    pthread_mutex_destroy(&self->flush_lock);
    free(self);
}

static moe_status prepare(cuda_device *self, const char *rest) {
    MOE_TRY(moe_cuda_driver_open(&self->cu));
    MOE_TRY(choose(self, rest));
    MOE_TRY(read_facts(self));
    MOE_TRY(read_driver(self));
    MOE_TRY(CHECK(cuDevicePrimaryCtxRetain(&self->context, self->device)));
    MOE_TRY(enter(self));
    return leave(self, make_events(self));
}

static moe_status cuda_open(const char *rest, void **out) {
    cuda_device *self = calloc(1, sizeof *self);
    if (!self) return moe_fail(MOE_E_MEMORY, "no memory for a handle");
    if (pthread_mutex_init(&self->flush_lock, NULL) != 0) {
        free(self);
        return moe_fail(MOE_E_MEMORY, "no memory for a lock");
    }
    moe_status status = prepare(self, rest);
    if (status) {
        cuda_close(self);
        return status;
    }
    *out = self;
    return MOE_OK;
}

static const moe_facts *cuda_facts(const void *self) {
    return &((const cuda_device *)self)->facts;
}

static const char *cuda_driver(const void *self) { return ((const cuda_device *)self)->driver; }

/* --------------------------------------------------------------------------------------- memory */

static moe_status cuda_alloc(void *object, size_t bytes, moe_ptr *out) {
    cuda_device *self = object;
    CUdeviceptr address = 0;
    MOE_TRY(enter(self));
    moe_status status = CHECK(cuMemAlloc(&address, bytes ? bytes : 1));
    if (status) status = moe_fail_context(status, "allocate %zu bytes", bytes);
    MOE_TRY(leave(self, status));
    *out = address;
    return MOE_OK;
}

static moe_status cuda_free(void *object, moe_ptr address) {
    cuda_device *self = object;
    MOE_TRY(enter(self));
    return leave(self, CHECK(cuMemFree(address)));
}

static moe_status cuda_copy_in(void *object, moe_ptr to, const void *host, size_t bytes) {
    cuda_device *self = object;
    MOE_TRY(enter(self));
    moe_status status = CHECK(cuMemcpyHtoD(to, host, bytes));
    /* Pageable memory may still be on its way to the device when the copy returns. */
    if (!status) status = CHECK(cuStreamSynchronize(NULL));
    return leave(self, status);
}

static moe_status cuda_copy_out(void *object, void *host, moe_ptr from, size_t bytes) {
    cuda_device *self = object;
    MOE_TRY(enter(self));
    return leave(self, CHECK(cuMemcpyDtoH(host, from, bytes)));
}

static moe_status cuda_fill(void *object, moe_ptr to, int byte, size_t bytes, void *stream) {
    cuda_device *self = object;
    if (!bytes) return MOE_OK;
    MOE_TRY(enter(self));
    return leave(self, CHECK(cuMemsetD8Async(to, (unsigned char)byte, bytes, stream)));
}

static moe_status cuda_sync(void *object, void *stream) {
    cuda_device *self = object;
    MOE_TRY(enter(self));
    return leave(self, CHECK(cuStreamSynchronize(stream)));
}

static moe_status cuda_poison(void *object, moe_ptr to, size_t bytes) {
    MOE_TRY(cuda_fill(object, to, 0xff, bytes, NULL));
    return cuda_sync(object, NULL);
}

/* ----------------------------------------------------------------------------------------- load */

/* Loads code with the driver's compiler reporting into `log`. */
static CUresult load_code(cuda_device *self, const void *code, CUmodule *module, char *log) {
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)JIT_LOG_SIZE};
    log[0] = '\0';
    CUresult result = self->cu.cuModuleLoadDataEx(module, code, 2, options, values);
    log[JIT_LOG_SIZE - 1] = '\0';
    log[strcspn(log, "\n")] = '\0'; /* its first line says what is wrong */
    return result;
}

/* The cubin where it fits; else the driver compiles the PTX. */
static moe_status load_image(cuda_device *self, const moe_image *image, CUmodule *module) {
    char log[JIT_LOG_SIZE] = "";
    CUresult result = CUDA_ERROR_INVALID_IMAGE;
    if (image->cubin) result = load_code(self, image->cubin, module, log);
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_OUT_OF_MEMORY && image->ptx)
        result = load_code(self, image->ptx, module, log);
    moe_status status = moe_cuda_check(&self->cu, result, "cuModuleLoadDataEx");
    if (status && *log) status = moe_fail(status, "%s (%s)", moe_error_text(), log);
    return status;
}

static moe_status prepare_kernel(cuda_device *self, const moe_kernel *kernel, CUmodule module,
                                 CUfunction *function) {
    MOE_TRY(CHECK(cuModuleGetFunction(function, module, kernel->symbol)));
    if (kernel->smem > 0)
        MOE_TRY(CHECK(cuFuncSetAttribute(*function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                         (int)kernel->smem)));
    if (kernel->cluster > PORTABLE_CLUSTER)
        MOE_TRY(CHECK(cuFuncSetAttribute(
            *function, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1)));
    return MOE_OK;
}

static moe_status prepare_kernels(cuda_device *self, const moe_image *image, cuda_module *module) {
    for (int64_t i = 0; i < image->launch.kernels; i++) {
        const moe_kernel *kernel = &image->launch.kernel[i];
        moe_status status = prepare_kernel(self, kernel, module->module, &module->function[i]);
        if (status) return moe_fail_context(status, "kernel %s", kernel->symbol);
    }
    return MOE_OK;
}

static void cuda_unload(void *object, void *handle) {
    cuda_device *self = object;
    cuda_module *module = handle;
    if (!module) return;
    if (module->module && self->cu.cuCtxPushCurrent(self->context) == CUDA_SUCCESS) {
        CUcontext popped;
        self->cu.cuModuleUnload(module->module);
        self->cu.cuCtxPopCurrent(&popped);
    }
    free(module);
}

static moe_status load_module(cuda_device *self, const moe_image *image, cuda_module *module) {
    MOE_TRY(load_image(self, image, &module->module));
    return prepare_kernels(self, image, module);
}

static moe_status cuda_load(void *object, const moe_image *image, void **out) {
    cuda_device *self = object;
    MOE_TRY(enter(self));
    cuda_module *module = calloc(1, sizeof *module);
    moe_status status = module ? load_module(self, image, module)
                               : moe_fail(MOE_E_MEMORY, "no memory for a module");
    status = leave(self, status);
    if (status)
        cuda_unload(self, module);
    else
        *out = module;
    return status;
}

/* --------------------------------------------------------------------------------------- launch */

static unsigned set_attributes(const moe_dims *dims, CUlaunchAttribute *out) {
    unsigned count = 0;
    const unsigned y = dims->cluster_y ? dims->cluster_y : 1;
    const unsigned z = dims->cluster_z ? dims->cluster_z : 1;
    if (dims->cluster > 1 || y > 1 || z > 1)
        out[count++] = (CUlaunchAttribute){
            .id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
            .value.clusterDim = {.x = dims->cluster, .y = y, .z = z},
        };
    if (dims->overlap)
        out[count++] = (CUlaunchAttribute){
            .id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            .value.programmaticStreamSerializationAllowed = 1,
        };
    if (dims->cooperative)
        out[count++] = (CUlaunchAttribute){
            .id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE,
            .value.cooperative = 1,
        };
    return count;
}

/* The struct goes in as a parameter, not as a packed buffer: compilers place one that is aligned to
 * 128 bytes, as those with tensor maps are, behind a gap at the start of the parameters (they begin
 * at 0x210 of a bank), and only the driver knows how wide it is. */
static moe_status cuda_launch(void *object, void *handle, int entry, const moe_dims *dims,
                              const void *args, size_t args_size, void *stream) {
    (void)args_size; /* the driver reads as much as the kernel takes */
    cuda_device *self = object;
    CUfunction function = ((cuda_module *)handle)->function[entry];
    CUlaunchAttribute attrs[3];
    unsigned count = set_attributes(dims, attrs);
    CUlaunchConfig config = {
        .gridDimX = dims->grid[0], .gridDimY = dims->grid[1], .gridDimZ = dims->grid[2],
        .blockDimX = dims->block[0], .blockDimY = dims->block[1], .blockDimZ = dims->block[2],
        .sharedMemBytes = dims->smem, .hStream = stream, .attrs = attrs, .numAttrs = count,
    };
    void *params[] = {(void *)(uintptr_t)args};
    if (is_inside(self)) return CHECK(cuLaunchKernelEx(&config, function, params, NULL));
    MOE_TRY(enter(self));
    return leave(self, CHECK(cuLaunchKernelEx(&config, function, params, NULL)));
}

/* ---------------------------------------------------------------------------------- tensor maps */

static CUtensorMapSwizzle swizzle_of(int bytes) {
    return bytes == 128  ? CU_TENSOR_MAP_SWIZZLE_128B
           : bytes == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
           : bytes == 32 ? CU_TENSOR_MAP_SWIZZLE_32B
                         : CU_TENSOR_MAP_SWIZZLE_NONE;
}

static const CUtensorMapDataType tensor_types[MOE_DTYPE_COUNT] = {
#define MOE_DTYPE_NAMES(constant, map, ...) [MOE_##constant] = CU_TENSOR_MAP_DATA_TYPE_##map,
#include "core/dtype.def"
#undef MOE_DTYPE_NAMES
};

/* The driver only computes here, but may ask for a context. It takes sizes fastest first, the first
 * stride left out. Lines of 256 bytes are fetched into the L2: neighbouring boxes along a row
 * follow soon. */
static moe_status cuda_tensor_map(void *object, const moe_tensor_view *tensor, void *map) {
    static const cuuint32_t unit[5] = {1, 1, 1, 1, 1};
    cuda_device *self = object;
    CUtensorMap encoded;
    cuuint64_t size[5], stride[5] = {0};
    cuuint32_t box[5];
    for (int i = 0; i < tensor->rank; i++) {
        size[i] = tensor->size[i];
        box[i] = tensor->box[i];
        if (i) stride[i - 1] = tensor->stride[i];
    }
    MOE_TRY(enter(self));
    moe_status status = leave(self, CHECK(cuTensorMapEncodeTiled(
        &encoded, tensor_types[tensor->dtype], (cuuint32_t)tensor->rank,
        (void *)(uintptr_t)tensor->address, size, stride, box, unit,
        CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle_of(tensor->swizzle),
        CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE)));
    if (status) return moe_fail_context(MOE_E_INVALID, "tensor map");
    memcpy(map, &encoded, sizeof encoded);
    return MOE_OK;
}

/* --------------------------------------------------------------------------------------- graphs */

/* The stream is one of its own: the default stream cannot be recorded. */
static moe_status cuda_graph_begin(void *object, void **out) {
    cuda_device *self = object;
    CUstream stream = NULL;
    MOE_TRY(enter(self));
    moe_status status = CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    if (!status)
        status = CHECK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    if (status && stream) self->cu.cuStreamDestroy(stream);
    if (!status) *out = stream;
    return leave(self, status);
}

static moe_status cuda_graph_end(void *object, void *stream, void **out) {
    cuda_device *self = object;
    CUgraph graph = NULL;
    CUgraphExec ready = NULL;
    MOE_TRY(enter(self));
    moe_status status = CHECK(cuStreamEndCapture(stream, &graph));
    if (!status) status = CHECK(cuGraphInstantiateWithFlags(&ready, graph, 0));
    if (graph) self->cu.cuGraphDestroy(graph);
    self->cu.cuStreamDestroy(stream);
    if (!status) *out = ready;
    return leave(self, status);
}

static moe_status cuda_graph_launch(void *object, void *graph) {
    cuda_device *self = object;
    MOE_TRY(enter(self));
    return leave(self, CHECK(cuGraphLaunch(graph, NULL)));
}

static void cuda_graph_free(void *object, void *graph) {
    cuda_device *self = object;
    if (enter(self)) return;
    self->cu.cuGraphExecDestroy(graph);
    leave(self, MOE_OK);
}

/* --------------------------------------------------------------------------------------- timing */

static moe_status cuda_time_begin(void *object) {
    cuda_device *self = object;
    MOE_TRY(enter(self));
    return leave(self, CHECK(cuEventRecord(self->begin, NULL)));
}

static moe_status time_end(cuda_device *self, float *milliseconds) {
    MOE_TRY(CHECK(cuEventRecord(self->end, NULL)));
    MOE_TRY(CHECK(cuEventSynchronize(self->end)));
    return CHECK(cuEventElapsedTime(milliseconds, self->begin, self->end));
}

static moe_status cuda_time_end(void *object, double *nanoseconds) {
    cuda_device *self = object;
    float milliseconds = 0;
    MOE_TRY(enter(self));
    MOE_TRY(leave(self, time_end(self, &milliseconds)));
    *nanoseconds = (double)milliseconds * 1e6;
    return MOE_OK;
}

static moe_status flush(cuda_device *self) {
    if (!self->flush) {
        self->flush_size = (size_t)self->facts.l2 * 2;
        if (!self->flush_size) return MOE_OK;
        MOE_TRY(CHECK(cuMemAlloc(&self->flush, self->flush_size)));
    }
    MOE_TRY(CHECK(cuMemsetD8Async(self->flush, 0, self->flush_size, NULL)));
    return CHECK(cuStreamSynchronize(NULL));
}

static moe_status cuda_flush_cache(void *object) {
    cuda_device *self = object;
    MOE_TRY(enter(self));
    pthread_mutex_lock(&self->flush_lock);
    moe_status status = flush(self);
    pthread_mutex_unlock(&self->flush_lock);
    return leave(self, status);
}

const moe_device_class moe_device_cuda = {
    .prefix = "cuda",
    .help = "cuda:N is GPU number N",
    .open = cuda_open,
    .close = cuda_close,
    .facts = cuda_facts,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .copy_in = cuda_copy_in,
    .copy_out = cuda_copy_out,
    .fill = cuda_fill,
    .poison = cuda_poison,
    .load = cuda_load,
    .unload = cuda_unload,
    .launch = cuda_launch,
    .sync = cuda_sync,
    .tensor_map = cuda_tensor_map,
    .graph_begin = cuda_graph_begin,
    .graph_end = cuda_graph_end,
    .graph_launch = cuda_graph_launch,
    .graph_free = cuda_graph_free,
    .time_begin = cuda_time_begin,
    .time_end = cuda_time_end,
    .flush_cache = cuda_flush_cache,
    .driver = cuda_driver,
    .timer = "events",
};
