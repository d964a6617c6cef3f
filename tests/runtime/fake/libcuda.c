/* libcuda.c - a CUDA driver made of host memory, for the tests of the CUDA device. It remembers
 * what it was asked and fails when told to. With FAKE_OLD it lacks a function that newer drivers
 * have. */
#include "libcuda.h"

#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fake_state state;
static int context_object, module_object, event_object, stream_object, graph_object, exec_object;
static char function_names[16][64];
static int functions;

fake_state *fake_driver(void);
fake_state *fake_driver(void) { return &state; }

static int number(int wanted, int standard) { return wanted ? wanted : standard; }

/* Every call passes here: notes its name, and gives the result that it was told to. */
static CUresult note(const char *name) {
    size_t used = strlen(state.calls);
    snprintf(state.calls + used, sizeof state.calls - used, "%s ", name);
    if (state.fail_call && !strcmp(state.fail_call, name)) return (CUresult)state.fail_result;
    return CUDA_SUCCESS;
}
#define NOTE()                                                                                     \
    do {                                                                                           \
        CUresult told = note(__func__);                                                            \
        if (told != CUDA_SUCCESS) return told;                                                     \
    } while (0)
/* Calls that need a current context. */
#define NOTE_INSIDE()                                                                              \
    do {                                                                                           \
        NOTE();                                                                                    \
        if (state.contexts < 1) return CUDA_ERROR_INVALID_CONTEXT;                                 \
    } while (0)

CUresult cuGetErrorName(CUresult error, const char **text) {
    *text = error == CUDA_ERROR_NO_DEVICE        ? "CUDA_ERROR_NO_DEVICE"
            : error == CUDA_ERROR_ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                                  : "CUDA_ERROR_OTHER";
    return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
    (void)error;
    *text = "the fake driver was told so";
    return CUDA_SUCCESS;
}
CUresult cuInit(unsigned flags) {
    (void)flags;
    NOTE();
    return CUDA_SUCCESS;
}
CUresult cuDriverGetVersion(int *version) {
    NOTE();
    *version = 13000;
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetCount(int *count) {
    NOTE();
    *count = number(state.count, 1);
    return CUDA_SUCCESS;
}
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    NOTE();
    *device = ordinal;
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    (void)device;
    NOTE();
    snprintf(name, (size_t)length, "Fake \"GPU\"");
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute which, CUdevice device) {
    (void)device;
    NOTE();
    const int table[][2] = {
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, number(state.major, 9)},
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, state.minor},
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 132},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 232448},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, 233472},
        {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536},
        {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048},
        {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 32},
        {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 1 << 20},
        {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1980000},
        {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 2619000},
        {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 5120},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i][0] == (int)which) return *value = table[i][1], CUDA_SUCCESS;
    return CUDA_ERROR_INVALID_VALUE;
}
CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) {
    (void)device;
    NOTE();
    *bytes = (size_t)80 << 30;
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    (void)device;
    NOTE();
    state.retained++;
    *context = (CUcontext)&context_object;
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    (void)device;
    NOTE();
    state.retained--;
    return CUDA_SUCCESS;
}
CUresult cuCtxGetCurrent(CUcontext *context) {
    NOTE();
    *context = state.contexts ? (CUcontext)&context_object : NULL;
    return CUDA_SUCCESS;
}
CUresult cuCtxPushCurrent(CUcontext context) {
    NOTE();
    if (context != (CUcontext)&context_object) return CUDA_ERROR_INVALID_CONTEXT;
    state.contexts++;
    return CUDA_SUCCESS;
}
CUresult cuCtxPopCurrent(CUcontext *context) {
    NOTE_INSIDE();
    state.contexts--;
    *context = (CUcontext)&context_object;
    return CUDA_SUCCESS;
}
CUresult cuMemAlloc(CUdeviceptr *out, size_t bytes) {
    NOTE_INSIDE();
    if (!bytes) return CUDA_ERROR_INVALID_VALUE;
    void *memory = malloc(bytes);
    if (!memory) return CUDA_ERROR_OUT_OF_MEMORY;
    state.allocations++;
    *out = (CUdeviceptr)(uintptr_t)memory;
    return CUDA_SUCCESS;
}
CUresult cuMemFree(CUdeviceptr memory) {
    NOTE_INSIDE();
    state.allocations--;
    free((void *)(uintptr_t)memory);
    return CUDA_SUCCESS;
}
CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes) {
    NOTE_INSIDE();
    memcpy((void *)(uintptr_t)to, from, bytes);
    return CUDA_SUCCESS;
}
CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) {
    NOTE_INSIDE();
    memcpy(to, (const void *)(uintptr_t)from, bytes);
    return CUDA_SUCCESS;
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char byte, size_t bytes, CUstream stream) {
    (void)stream;
    NOTE_INSIDE();
    memset((void *)(uintptr_t)to, byte, bytes);
    return CUDA_SUCCESS;
}

static CUresult refuse(int result, unsigned count, CUjit_option *options, void **values) {
    char *log = NULL;
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        if (options[i] == CU_JIT_ERROR_LOG_BUFFER) log = values[i];
        if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) size = (size_t)(uintptr_t)values[i];
    }
    if (log && size) snprintf(log, size, "ptxas fatal: line 7\nand more");
    return (CUresult)result;
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count,
                            CUjit_option *options, void **values) {
    NOTE_INSIDE();
    int cubin = !memcmp(image, "\177ELF", 4);
    int result = cubin ? state.reject_cubin : state.reject_ptx;
    if (result) return refuse(result, count, options, values);
    state.loaded_ptx = !cubin;
    state.modules++;
    *module = (CUmodule)&module_object;
    return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule module) {
    (void)module;
    NOTE_INSIDE();
    state.modules--;
    return CUDA_SUCCESS;
}
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    (void)module;
    NOTE_INSIDE();
    char *slot = function_names[functions++ % 16];
    snprintf(slot, sizeof function_names[0], "%s", name);
    *function = (CUfunction)(void *)slot;
    return CUDA_SUCCESS;
}
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute which, int value) {
    (void)function;
    NOTE_INSIDE();
    if (which == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) state.largest_smem = value;
    return CUDA_SUCCESS;
}

#ifndef FAKE_OLD
/* Packed buffers are refused, as they know nothing of where a parameter stands. */
CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **params,
                          void **extra) {
    NOTE_INSIDE();
    if (!params || extra || !config->gridDimX || !config->blockDimX)
        return CUDA_ERROR_INVALID_VALUE;
    if (state.param_size > FAKE_ARGS) return CUDA_ERROR_INVALID_VALUE;
    state.launch = (fake_launch){
        .grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
        .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
        .smem = config->sharedMemBytes, .stream = config->hStream,
        .symbol = (const char *)function,
    };
    for (unsigned i = 0; i < config->numAttrs; i++)
        if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
            state.launch.cluster = config->attrs[i].value.clusterDim.x;
        else if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION)
            state.launch.overlap = config->attrs[i].value.programmaticStreamSerializationAllowed;
        else if (config->attrs[i].id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
            state.launch.cooperative = config->attrs[i].value.cooperative;
    memcpy(state.launch.args, params[0], state.param_size);
    state.launches++;
    return CUDA_SUCCESS;
}
#endif

CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                                void *address, const cuuint64_t *size, const cuuint64_t *stride,
                                const cuuint32_t *box, const cuuint32_t *unit,
                                CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill) {
    NOTE_INSIDE();
    (void)unit, (void)interleave, (void)promotion, (void)fill, (void)stride;
    memset(map, 0, sizeof *map);
    map->opaque[0] = (cuuint64_t)(uintptr_t)address;
    map->opaque[1] = (cuuint64_t)type << 32 | rank;
    map->opaque[2] = size[rank - 1];
    map->opaque[3] = (cuuint64_t)swizzle << 32 | box[0];
    map->opaque[4] = rank > 1 ? stride[rank - 2] : 0;
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream) {
    (void)stream;
    NOTE_INSIDE();
    return CUDA_SUCCESS;
}
CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
    NOTE_INSIDE();
    if (flags != CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
    state.streams++;
    *stream = (CUstream)&stream_object;
    return CUDA_SUCCESS;
}
CUresult cuStreamDestroy(CUstream stream) {
    NOTE_INSIDE();
    if (stream != (CUstream)&stream_object) return CUDA_ERROR_INVALID_HANDLE;
    state.streams--;
    return CUDA_SUCCESS;
}
CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
    (void)mode;
    NOTE_INSIDE();
    if (!stream || state.capturing) return CUDA_ERROR_ILLEGAL_STATE;
    state.capturing = 1;
    return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    (void)stream;
    NOTE_INSIDE();
    if (!state.capturing) return CUDA_ERROR_ILLEGAL_STATE;
    state.capturing = 0;
    state.graphs++;
    *graph = (CUgraph)&graph_object;
    return CUDA_SUCCESS;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec *ready, CUgraph graph, unsigned long long flags) {
    NOTE_INSIDE();
    if (graph != (CUgraph)&graph_object || flags) return CUDA_ERROR_INVALID_VALUE;
    state.graphs++;
    *ready = (CUgraphExec)&exec_object;
    return CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) {
    (void)graph;
    NOTE_INSIDE();
    state.graphs--;
    return CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec ready, CUstream stream) {
    NOTE_INSIDE();
    if (ready != (CUgraphExec)&exec_object || stream) return CUDA_ERROR_INVALID_HANDLE;
    state.replays++;
    return CUDA_SUCCESS;
}
CUresult cuGraphExecDestroy(CUgraphExec ready) {
    (void)ready;
    NOTE_INSIDE();
    state.graphs--;
    return CUDA_SUCCESS;
}
CUresult cuEventCreate(CUevent *event, unsigned flags) {
    (void)flags;
    NOTE_INSIDE();
    state.events++;
    *event = (CUevent)&event_object;
    return CUDA_SUCCESS;
}
CUresult cuEventDestroy(CUevent event) {
    (void)event;
    NOTE_INSIDE();
    state.events--;
    return CUDA_SUCCESS;
}
CUresult cuEventRecord(CUevent event, CUstream stream) {
    (void)event, (void)stream;
    NOTE_INSIDE();
    return CUDA_SUCCESS;
}
CUresult cuEventSynchronize(CUevent event) {
    (void)event;
    NOTE_INSIDE();
    return CUDA_SUCCESS;
}
#undef cuEventElapsedTime
CUresult cuEventElapsedTime(float *milliseconds, CUevent begin, CUevent end);
CUresult cuEventElapsedTime(float *milliseconds, CUevent begin, CUevent end) {
    (void)begin, (void)end;
    NOTE_INSIDE();
    *milliseconds = 0.25f;
    return CUDA_SUCCESS;
}
