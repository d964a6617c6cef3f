/* launches.c - kernels that start early, and blocks that wait for one another. */
#include "launches.h"

#include "compile/compile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* older, ahead and reader follow one another on a stream: ahead lets reader start at once, and
 * works on for a while. meet: rounds of writing, a barrier of all blocks, and reading of a
 * neighbour's. */
static const char source[] =
    "struct arguments { int *counter, *table, *late, *wrong, *arrived; int rounds; };\n"
    "#define KERNEL(name) extern \"C\" __global__ void __launch_bounds__(256, 1) "
    "name(const arguments a)\n"
    "__device__ void wait() { asm volatile(\"griddepcontrol.wait;\" ::: \"memory\"); }\n"
    "__device__ void launch() { asm volatile(\"griddepcontrol.launch_dependents;\" ::: "
    "\"memory\"); }\n"
    "KERNEL(older) {\n"
    "    const int round = a.counter[0] + 1;\n"
    "    __syncthreads();\n"
    "    a.table[threadIdx.x] = round;\n"
    "    if (threadIdx.x == 0) a.counter[0] = round;\n"
    "}\n"
    "KERNEL(ahead) {\n"
    "    wait();\n"
    "    launch();\n"
    "    for (long long begin = clock64(); clock64() - begin < 20000;) {}\n"
    "    if (blockIdx.x == 0) a.late[threadIdx.x] = a.counter[0];\n"
    "}\n"
    "KERNEL(reader) {\n"
    "    int relaxed, plain;\n"
    "    asm volatile(\"ld.relaxed.gpu.global.s32 %0, [%1];\" : \"=r\"(relaxed) : \"l\"(a.table + "
    "threadIdx.x));\n"
    "    asm volatile(\"ld.global.s32 %0, [%1];\" : \"=r\"(plain) : \"l\"(a.table + "
    "threadIdx.x));\n"
    "    wait();\n"
    "    const int now = a.late[threadIdx.x];\n"
    "    if (relaxed != now) atomicAdd(a.wrong, 1);\n"
    "    if (a.table[threadIdx.x] != now) atomicAdd(a.wrong + 1, 1);\n"
    "    if (plain != now) atomicAdd(a.wrong + 2, 1);\n"
    "}\n"
    "KERNEL(meet) {\n"
    "    wait();\n"
    "    const int blocks = gridDim.x, next = (blockIdx.x + 1) % blocks;\n"
    "    for (int round = 1; round <= a.rounds; round++) {\n"
    "        a.table[blockIdx.x * 256 + threadIdx.x] = round * blocks + (int)blockIdx.x;\n"
    "        for (int half = 1; half <= 2; half++) {\n"
    "            __syncthreads();\n"
    "            if (threadIdx.x == 0) {\n"
    "                int come = 0;\n"
    "                __threadfence();\n"
    "                atomicAdd(a.arrived, 1);\n"
    "                while (come < (2 * round - 2 + half) * blocks)\n"
    "                    asm volatile(\"ld.acquire.gpu.global.s32 %0, [%1];\" : \"=r\"(come) : "
    "\"l\"(a.arrived) : \"memory\");\n"
    "            }\n"
    "            __syncthreads();\n"
    "            if (half == 1 && a.table[next * 256 + threadIdx.x] != round * blocks + next)\n"
    "                atomicAdd(a.wrong, 1);\n"
    "        }\n"
    "    }\n"
    "}\n";

enum { OLDER, AHEAD, READER, MEET, KERNELS, THREADS = 256 };
static const char *const symbols[KERNELS] = {"older", "ahead", "reader", "meet"};

typedef struct arguments {
    moe_ptr counter, table, late, wrong, arrived;
    int32_t rounds;
} arguments;

static moe_device *device;
static void *module;
static arguments args;

static void check(moe_status status) {
    if (status) fail_msg("%s", moe_error_text());
}

static size_t table_bytes(void) { return (size_t)moe_device_facts(device)->sms * THREADS * 4; }

/* Memory of its own, since the simulated device looks at pages. */
static moe_ptr make(size_t bytes) {
    moe_ptr memory;
    check(device->class->alloc(device->self, bytes, &memory));
    return memory;
}

void launches_open(moe_device *on, int rounds) {
    moe_compiled compiled;
    device = on;
    check(moe_compile_text("launches", source, "sm_90a", &compiled));
    if (compiled.outcome != MOE_OUTCOME_OK) fail_msg("%s", compiled.log);
    compiled.image.launch.kernels = KERNELS;
    for (int i = 0; i < KERNELS; i++) {
        moe_kernel *kernel = &compiled.image.launch.kernel[i];
        *kernel = (moe_kernel){.smem = i == MEET ? 200 << 10 : 0};
        snprintf(kernel->symbol, sizeof kernel->symbol, "%s", symbols[i]);
    }
    check(device->class->load(device->self, &compiled.image, &module));
    moe_compiled_free(&compiled);
    args = (arguments){.counter = make(4), .table = make(table_bytes()), .late = make(THREADS * 4),
                       .wrong = make(12), .arrived = make(4), .rounds = rounds};
}

void launches_close(void) {
    const moe_ptr all[] = {args.counter, args.table, args.late, args.wrong, args.arrived};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        device->class->free(device->self, all[i]);
    device->class->unload(device->self, module);
}

static void clear(void) {
    const struct {
        moe_ptr to;
        size_t bytes;
    } all[] = {{args.counter, 4}, {args.table, table_bytes()}, {args.wrong, 12}, {args.arrived, 4}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        check(device->class->fill(device->self, all[i].to, 0, all[i].bytes, NULL));
}

static moe_status try_launch(int kernel, int64_t blocks, bool overlap, void *stream) {
    const moe_dims dims = {.grid = {(uint32_t)blocks, 1, 1}, .block = {THREADS, 1, 1}, .cluster = 1,
                           .smem = kernel == MEET ? 200 << 10 : 0, .overlap = overlap,
                           .cooperative = kernel == MEET};
    return device->class->launch(device->self, module, kernel, &dims, &args, sizeof args, stream);
}

static void launch(int kernel, int64_t blocks, bool overlap, void *stream) {
    check(try_launch(kernel, blocks, overlap, stream));
}

static void launch_chain(void *stream) {
    launch(OLDER, 1, false, stream);
    launch(AHEAD, 16, true, stream);
    launch(READER, 2 * moe_device_facts(device)->sms, true, stream);
}

/* How often a plain load was stale is worth knowing, but nothing that is promised. */
static void check_chain(void) {
    int32_t wrong[3], count;
    check(device->class->sync(device->self, NULL));
    check(device->class->copy_out(device->self, wrong, args.wrong, sizeof wrong));
    check(device->class->copy_out(device->self, &count, args.counter, sizeof count));
    print_message("  %d rounds: plain loads before the wait were stale %d times\n", count,
                  wrong[2]);
    assert_int_equal(count, args.rounds);
    assert_int_equal(wrong[0], 0); /* loads past L1 before the wait */
    assert_int_equal(wrong[1], 0); /* plain loads behind it */
}

void early_readers_see_what_is_older(void **state) {
    (void)state;
    clear();
    for (int i = 0; i < args.rounds; i++) launch_chain(NULL);
    check_chain();
}

void replays_keep_early_starts_in_order(void **state) {
    void *stream, *graph;
    (void)state;
    if (!device->class->graph_begin) skip();
    clear();
    check(device->class->sync(device->self, NULL));
    check(device->class->graph_begin(device->self, &stream));
    launch_chain(stream);
    check(device->class->graph_end(device->self, stream, &graph));
    for (int i = 0; i < args.rounds; i++) check(device->class->graph_launch(device->self, graph));
    check_chain();
    device->class->graph_free(device->self, graph);
}

void blocks_meet(void **state) {
    int32_t wrong;
    (void)state;
    clear();
    launch(AHEAD, 16, false, NULL);
    launch(MEET, moe_device_facts(device)->sms, true, NULL);
    check(device->class->sync(device->self, NULL));
    check(device->class->copy_out(device->self, &wrong, args.wrong, sizeof wrong));
    assert_int_equal(wrong, 0);
}

void blocks_that_cannot_meet_are_refused(void **state) {
    (void)state;
    assert_int_not_equal(try_launch(MEET, moe_device_facts(device)->sms + 1, false, NULL), MOE_OK);
    blocks_meet(state); /* nothing was begun, and the device is as it was */
}
