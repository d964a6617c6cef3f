/* label: unit - the CUDA device against a fake driver: what it asks for, packs and reports. */
#include "check.h"

#include "device/device.h"
#include "fake/libcuda.h"

#include <cuda.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fake_state *driver;
static moe_device *device;
static const moe_device_class *class;
static void *self;

static void use_driver(const char *kind) {
    char folder[512];
    const char *drivers = getenv("FAKE_DRIVERS");
    assert_non_null(drivers);
    snprintf(folder, sizeof folder, "%s/%s", drivers, kind);
    setenv("MOETUNE_CUDA", folder, 1);
}

static int start(void **unused) {
    (void)unused;
    char file[512];
    fake_state *(*get)(void) = NULL;
    use_driver("new");
    snprintf(file, sizeof file, "%s/lib64/libcuda.so.1", getenv("MOETUNE_CUDA"));
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return print_error("%s\n", dlerror()), -1;
    *(void **)&get = dlsym(handle, "fake_driver");
    driver = get();
    memset(driver, 0, sizeof *driver);
    return 0;
}

static int start_open(void **unused) {
    if (start(unused)) return -1;
    CHECK(moe_device_open("cuda:0", &device));
    class = device->class;
    self = device->self;
    return 0;
}

static int stop_open(void **unused) {
    (void)unused;
    driver->fail_call = NULL;
    moe_device_close(device);
    device = NULL;
    assert_int_equal(driver->contexts, 0);
    assert_int_equal(driver->retained, 0);
    assert_int_equal(driver->events, 0);
    assert_int_equal(driver->modules, 0);
    assert_int_equal(driver->allocations, 0);
    return 0;
}

/* ----------------------------------------------------------------------------------------- open */

static void test_facts(void **unused) {
    (void)unused;
    const moe_facts *facts = moe_device_facts(device);
    assert_string_equal(facts->arch, "sm_90a");
    assert_int_equal(facts->sms, 132);
    assert_int_equal(facts->clock, 1980);
    assert_int_equal(facts->bandwidth, 3352);
    assert_int_equal(facts->tensor_rate, 4096);
    assert_int_equal(facts->memory, INT64_C(80) << 30);
    assert_int_equal(facts->simulated, 0);
    CHECK_CONTAINS(moe_device_text(device), "sm_90a \"Fake 'GPU'\" sm=90 sms=132 smem=232448");
    CHECK_CONTAINS(moe_device_driver(device), "13.0");
    moe_facts back;
    CHECK(moe_facts_parse(moe_device_text(device), &back));
    assert_int_equal(back.sms, facts->sms);
}

static void test_archs(void **unused) {
    (void)unused;
    const struct {
        int major, minor;
        const char *arch;
    } table[] = {{8, 0, "sm_80"}, {8, 6, "sm_86"}, {8, 9, "sm_89"}, {9, 0, "sm_90a"},
                 {10, 0, "sm_100a"}, {12, 0, "sm_120a"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        moe_device *other;
        driver->major = table[i].major;
        driver->minor = table[i].minor;
        CHECK(moe_device_open("cuda", &other));
        assert_string_equal(moe_device_facts(other)->arch, table[i].arch);
        moe_device_close(other);
    }
    driver->major = 7;
    driver->minor = 5;
    CHECK_FAILS(moe_device_open("cuda:0", &device), MOE_E_UNSUPPORTED, "need sm_80 or newer");
}

static void test_numbers(void **unused) {
    (void)unused;
    moe_device *other = NULL;
    driver->count = 2;
    CHECK(moe_device_open("cuda:1", &other));
    moe_device_close(other);
    CHECK_FAILS(moe_device_open("cuda:2", &other), MOE_E_NOT_FOUND, "there are 2 GPUs");
    CHECK_FAILS(moe_device_open("cuda:-1", &other), MOE_E_NOT_FOUND, "there are 2 GPUs");
    CHECK_FAILS(moe_device_open("cuda:first", &other), MOE_E_NOT_FOUND, "use cuda:0");
    assert_int_equal(driver->retained, 0);
}

/* Any call that fails while a device opens is reported by name, and nothing stays behind. */
static void test_open_failures(void **unused) {
    (void)unused;
    const struct {
        const char *call;
        int result;
        moe_status status;
        const char *message;
    } table[] = {
        {"cuInit", CUDA_ERROR_NO_DEVICE, MOE_E_NOT_FOUND, "no GPU is visible: see nvidia-smi"},
        {"cuInit", CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, MOE_E_LIBRARY, "reboot"},
        {"cuInit", CUDA_ERROR_STUB_LIBRARY, MOE_E_LIBRARY, "stub"},
        {"cuInit", CUDA_ERROR_UNKNOWN, MOE_E_DEVICE, "the fake driver was told so"},
        {"cuDeviceGetCount", CUDA_ERROR_NOT_INITIALIZED, MOE_E_DEVICE, "cuDeviceGetCount"},
        {"cuDeviceGetName", CUDA_ERROR_UNKNOWN, MOE_E_DEVICE, "cuDeviceGetName"},
        {"cuDeviceGetAttribute", CUDA_ERROR_UNKNOWN, MOE_E_DEVICE, "cuDeviceGetAttribute"},
        {"cuDriverGetVersion", CUDA_ERROR_UNKNOWN, MOE_E_DEVICE, "cuDriverGetVersion"},
        {"cuDevicePrimaryCtxRetain", CUDA_ERROR_OUT_OF_MEMORY, MOE_E_MEMORY, "free some"},
        {"cuEventCreate", CUDA_ERROR_UNKNOWN, MOE_E_DEVICE, "cuEventCreate"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        driver->fail_call = table[i].call;
        driver->fail_result = table[i].result;
        CHECK_FAILS(moe_device_open("cuda:0", &device), table[i].status, table[i].message);
        CHECK_CONTAINS(moe_error_text(), "device cuda:0: ");
        CHECK_CONTAINS(moe_error_text(), table[i].call);
        assert_int_equal(driver->contexts, 0);
    }
}

static void test_no_driver(void **unused) {
    (void)unused;
    use_driver("old");
    CHECK_FAILS(moe_device_open("cuda:0", &device), MOE_E_LIBRARY, "cuLaunchKernelEx");
    CHECK_CONTAINS(moe_error_text(), "install NVIDIA's driver");
    use_driver("broken");
    CHECK_FAILS(moe_device_open("cuda:0", &device), MOE_E_LIBRARY, "install NVIDIA's driver");
}

static void test_auto(void **unused) {
    (void)unused;
    moe_device *first = NULL;
    CHECK(moe_device_open("auto", &first));
    assert_string_equal(first->name, "cuda:0");
    moe_device_close(first);
}

/* --------------------------------------------------------------------------------------- memory */

static void test_memory(void **unused) {
    (void)unused;
    char in[100], out[100];
    void *memory = NULL, *empty = NULL;
    memset(in, 7, sizeof in);
    CHECK(moe_device_alloc(device, sizeof in, &memory));
    CHECK(moe_device_alloc(device, 0, &empty));
    CHECK(moe_device_copy_in(device, memory, in, sizeof in));
    CHECK(class->fill(self, (uintptr_t)memory, 3, 50, NULL));
    CHECK(class->fill(self, (uintptr_t)memory, 9, 0, NULL));
    CHECK(moe_device_copy_out(device, out, memory, sizeof out));
    for (int i = 0; i < 100; i++) assert_int_equal(out[i], i < 50 ? 3 : 7);
    CHECK(class->poison(self, (uintptr_t)memory, 100));
    CHECK(moe_device_copy_out(device, out, memory, sizeof out));
    for (int i = 0; i < 100; i++) assert_int_equal((unsigned char)out[i], 0xff);
    CHECK(moe_device_copy_out(device, NULL, NULL, 0));
    CHECK(moe_device_free(device, memory));
    CHECK(moe_device_free(device, empty));
    CHECK(moe_device_free(device, NULL));
    CHECK(moe_device_sync(device, NULL));
}

static void test_memory_failures(void **unused) {
    (void)unused;
    void *memory = NULL;
    driver->fail_call = "cuMemAlloc_v2";
    driver->fail_result = CUDA_ERROR_OUT_OF_MEMORY;
    CHECK_FAILS(moe_device_alloc(device, 12345, &memory), MOE_E_MEMORY, "allocate 12345 bytes");
    assert_null(memory);
    driver->fail_call = "cuStreamSynchronize";
    driver->fail_result = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_FAILS(moe_device_sync(device, NULL), MOE_E_FAULT, "the process must restart");
    CHECK_CONTAINS(moe_error_text(), "CUDA_ERROR_ILLEGAL_ADDRESS");
    driver->fail_call = "cuCtxPushCurrent_v2";
    CHECK_FAILS(moe_device_sync(device, NULL), MOE_E_FAULT, "cuCtxPushCurrent");
    assert_int_equal(driver->contexts, 0);
}

/* ------------------------------------------------------------------------------ load and launch */

static moe_image make_image(void) {
    moe_image image = {.arch = "sm_90a", .cubin = "\177ELF....", .cubin_size = 8,
                       .ptx = ".version 9.0", .ptx_size = 12};
    CHECK(moe_launch_parse("kernel=first grid=fixed(3) block=128 smem=100000 "
                           "kernel=second grid=fixed(4) block=64 cluster=16 align=1",
                           &image.launch));
    return image;
}

static void test_launch(void **unused) {
    (void)unused;
    moe_image image = make_image();
    void *module = NULL;
    int stream;
    unsigned char args[40];
    for (int i = 0; i < 40; i++) args[i] = (unsigned char)(i * 5);
    CHECK(class->load(self, &image, &module));
    assert_int_equal(driver->loaded_ptx, 0);
    assert_int_equal(driver->largest_smem, 100000);
    moe_dims dims = {.grid = {3, 1, 1}, .block = {128, 1, 1}, .cluster = 1, .smem = 100000};
    driver->param_size = sizeof args;
    CHECK(class->launch(self, module, 0, &dims, args, sizeof args, &stream));
    const fake_launch *launch = &driver->launch;
    assert_string_equal(launch->symbol, "first");
    assert_int_equal(launch->grid[0], 3);
    assert_int_equal(launch->block[0], 128);
    assert_int_equal(launch->smem, 100000);
    assert_int_equal(launch->cluster, 0);
    assert_int_equal(launch->cooperative, 0);
    assert_ptr_equal(launch->stream, &stream);
    assert_memory_equal(launch->args, args, sizeof args);
    dims = (moe_dims){.grid = {32, 1, 1}, .block = {64, 1, 1}, .cluster = 16, .overlap = true,
                      .cooperative = true};
    driver->param_size = 8;
    CHECK(class->launch(self, module, 1, &dims, args, 8, NULL));
    assert_string_equal(launch->symbol, "second");
    assert_int_equal(launch->cluster, 16);
    assert_int_equal(launch->overlap, 1);
    assert_int_equal(launch->cooperative, 1);
    assert_memory_equal(launch->args, args, 8);
    assert_null(launch->stream);
    /* Where a framework's context is ours and current, as it is in most, it stays untouched. */
    driver->contexts = 1;
    driver->calls[0] = '\0';
    CHECK(class->launch(self, module, 1, &dims, args, 8, NULL));
    assert_string_equal(driver->calls, "cuCtxGetCurrent cuLaunchKernelEx ");
    assert_int_equal(driver->contexts, 1);
    driver->contexts = 0;
    CHECK(class->launch(self, module, 1, &dims, args, 8, NULL));
    assert_int_equal(driver->contexts, 0);
    driver->fail_call = "cuLaunchKernelEx";
    driver->fail_result = CUDA_ERROR_LAUNCH_FAILED;
    CHECK_FAILS(class->launch(self, module, 0, &dims, args, 8, NULL), MOE_E_FAULT, "trapped");
    driver->fail_call = NULL;
    class->unload(self, module);
    class->unload(self, NULL);
}

static void test_load_rescue(void **unused) {
    (void)unused;
    moe_image image = make_image();
    void *module = NULL;
    driver->reject_cubin = CUDA_ERROR_NO_BINARY_FOR_GPU;
    CHECK(class->load(self, &image, &module));
    assert_int_equal(driver->loaded_ptx, 1);
    class->unload(self, module);
    driver->reject_ptx = CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    CHECK_FAILS(class->load(self, &image, &module), MOE_E_DEVICE, "older than the compiler");
    CHECK_CONTAINS(moe_error_text(), "(ptxas fatal: line 7)");
    image.ptx = NULL;
    CHECK_FAILS(class->load(self, &image, &module), MOE_E_DEVICE, "another architecture");
    image.cubin = NULL;
    CHECK_FAILS(class->load(self, &image, &module), MOE_E_DEVICE, "cuModuleLoadDataEx");
}

static void test_load_failures(void **unused) {
    (void)unused;
    moe_image image = make_image();
    void *module = NULL;
    const char *const calls[] = {"cuModuleGetFunction", "cuFuncSetAttribute", "cuCtxPopCurrent_v2"};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        driver->fail_call = calls[i];
        driver->fail_result = CUDA_ERROR_NOT_FOUND;
        assert_int_equal(class->load(self, &image, &module), MOE_E_DEVICE);
        if (i < 2) CHECK_CONTAINS(moe_error_text(), "kernel first: ");
        assert_null(module);
        assert_int_equal(driver->modules, 0);
        driver->contexts = 0;
    }
}

/* --------------------------------------------------------------------------------------- graphs */

/* Recorded on a stream of its own, replayed on the default one. */
static void test_graphs(void **unused) {
    (void)unused;
    moe_image image = make_image();
    moe_dims dims = {.grid = {3, 1, 1}, .block = {128, 1, 1}, .cluster = 1};
    void *module = NULL, *stream = NULL, *graph = NULL;
    unsigned char args[8] = {0};
    CHECK(class->load(self, &image, &module));
    CHECK(class->graph_begin(self, &stream));
    assert_non_null(stream);
    assert_true(driver->capturing);
    CHECK(class->launch(self, module, 0, &dims, args, sizeof args, stream));
    assert_ptr_equal(driver->launch.stream, stream);
    CHECK(class->graph_end(self, stream, &graph));
    assert_int_equal(driver->replays, 0);
    assert_int_equal(driver->streams, 0);
    for (int i = 0; i < 3; i++) CHECK(class->graph_launch(self, graph));
    assert_int_equal(driver->replays, 3);
    class->graph_free(self, graph);
    assert_int_equal(driver->graphs, 0);
    class->unload(self, module);
}

/* Nothing is left behind, and the caller's context is current again. */
static void test_graph_failures(void **unused) {
    (void)unused;
    static const char *const calls[] = {"cuStreamCreate", "cuStreamBeginCapture_v2",
                                        "cuStreamEndCapture", "cuGraphInstantiateWithFlags"};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        void *stream = NULL, *graph = NULL;
        driver->fail_call = calls[i];
        driver->fail_result = CUDA_ERROR_NOT_SUPPORTED;
        moe_status status = class->graph_begin(self, &stream);
        assert_int_equal(status != MOE_OK, i < 2);
        if (!status) status = class->graph_end(self, stream, &graph);
        CHECK_FAILS(status, MOE_E_DEVICE, i == 1 ? "cuStreamBeginCapture" : calls[i]);
        assert_null(graph);
        assert_int_equal(driver->streams, 0);
        assert_int_equal(driver->graphs, 0);
        assert_int_equal(driver->contexts, 0);
        driver->fail_call = NULL;
        driver->capturing = 0;
    }
}

/* --------------------------------------------------------------------------------------- timing */

static void test_timing(void **unused) {
    (void)unused;
    double nanoseconds = 0;
    CHECK(class->time_begin(self));
    CHECK(class->time_end(self, &nanoseconds));
    assert_true(nanoseconds == 250000);
    assert_string_equal(class->timer, "events");
    CHECK(class->flush_cache(self));
    CHECK(class->flush_cache(self));
    assert_int_equal(driver->allocations, 1);
    driver->fail_call = "cuEventSynchronize";
    driver->fail_result = CUDA_ERROR_ILLEGAL_ADDRESS;
    CHECK_FAILS(class->time_end(self, &nanoseconds), MOE_E_FAULT, "cuEventSynchronize");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_facts, start_open, stop_open),
        cmocka_unit_test_setup_teardown(test_archs, start, NULL),
        cmocka_unit_test_setup_teardown(test_numbers, start, NULL),
        cmocka_unit_test_setup_teardown(test_open_failures, start, NULL),
        cmocka_unit_test_setup_teardown(test_no_driver, start, NULL),
        cmocka_unit_test_setup_teardown(test_auto, start, NULL),
        cmocka_unit_test_setup_teardown(test_memory, start_open, stop_open),
        cmocka_unit_test_setup_teardown(test_memory_failures, start_open, stop_open),
        cmocka_unit_test_setup_teardown(test_launch, start_open, stop_open),
        cmocka_unit_test_setup_teardown(test_load_rescue, start_open, stop_open),
        cmocka_unit_test_setup_teardown(test_load_failures, start_open, stop_open),
        cmocka_unit_test_setup_teardown(test_graphs, start_open, stop_open),
        cmocka_unit_test_setup_teardown(test_graph_failures, start_open, stop_open),
        cmocka_unit_test_setup_teardown(test_timing, start_open, stop_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
