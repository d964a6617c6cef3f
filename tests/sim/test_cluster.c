/* label: sim
 * test_cluster.c - clusters of two blocks: a multicast load that both wait for, arrivals in one
 * another's mbarriers, and what goes wrong without the cluster's barrier. */
#include "core/status.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Block 0 of each cluster loads rows 16*cluster.. for both; both write them out, block 1 negated.
 * Each then arrives in the other's `done` and waits for its own before it ends. */
static const char *const source =
    "struct __align__(128) tensor_map { unsigned long long opaque[16]; };\n"
    "struct arguments { tensor_map map; int *out; };\n"
    "__device__ unsigned window(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }\n"
    "__device__ void wait(unsigned b) { asm volatile(\"{ .reg .pred p; again: "
    "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], 0; @!p bra again; }\" ::\"r\"(b) : "
    "\"memory\"); }\n"
    "extern \"C\" __global__ void k(const __grid_constant__ arguments a) {\n"
    "    extern __shared__ __align__(1024) int s[];\n"
    "    __shared__ unsigned long long full, done;\n"
    "    unsigned rank; asm(\"mov.u32 %0, %%cluster_ctarank;\" : \"=r\"(rank));\n"
    "    if (threadIdx.x == 0) {\n"
    "        asm volatile(\"mbarrier.init.shared::cta.b64 [%0], 1;\" ::\"r\"(window(&full)) : "
    "\"memory\");\n"
    "        asm volatile(\"mbarrier.init.shared::cta.b64 [%0], 1;\" ::\"r\"(window(&done)) : "
    "\"memory\");\n"
    "        asm volatile(\"fence.mbarrier_init.release.cluster;\" ::: \"memory\");\n"
    "        asm volatile(\"mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], 2048;\" "
    "::\"r\"(window(&full)) : \"memory\");\n"
    "    }\n"
    "#ifndef BUG\n"
    "    asm volatile(\"barrier.cluster.arrive.release.aligned; "
    "barrier.cluster.wait.acquire.aligned;\" ::: \"memory\");\n"
    "#else\n"
    "    __syncthreads();\n"
    "#endif\n"
    "    if (rank == 0 && threadIdx.x == 0)\n"
    "        asm volatile("
    "\"cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes."
    "multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;\"\n"
    "                     ::\"r\"(window(s)), \"l\"(&a.map), \"r\"(0), \"r\"((int)(blockIdx.x / 2 "
    "* 16)), \"r\"(window(&full)), \"h\"((unsigned short)3) : \"memory\");\n"
    "    wait(window(&full));\n"
    "    for (int i = threadIdx.x; i < 512; i += 32)\n"
    "        a.out[blockIdx.x * 512 + i] = rank ? -s[i] : s[i];\n"
    "    __syncwarp();\n"
    "    if (threadIdx.x == 0) {\n"
    "        unsigned there;\n"
    "        asm volatile(\"mapa.shared::cluster.u32 %0, %1, %2;\" : \"=r\"(there) : "
    "\"r\"(window(&done)), \"r\"(rank ^ 1));\n"
    "        asm volatile(\"mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];\" "
    "::\"r\"(there) : \"memory\");\n"
    "    }\n"
    "    wait(window(&done));\n"
    "}\n";

enum { BLOCKS = 4, ROWS = 32, WORDS = 32 };

typedef struct arguments {
    _Alignas(MOE_TENSOR_MAP_ALIGN) unsigned char map[MOE_TENSOR_MAP_SIZE];
    moe_ptr out;
} arguments;

static moe_status run(const char *device, const char *text, int *out) {
    int in[ROWS * WORDS];
    arguments args = {{0}, 0};
    const moe_dims dims = {.grid = {BLOCKS, 1, 1}, .block = {32, 1, 1}, .cluster = 2,
                           .smem = 2048};
    sim_rig rig;
    rig_open(&rig, device);
    rig_cuda(&rig, text, "compute_90a");
    for (int i = 0; i < ROWS * WORDS; i++) in[i] = i * 37 % 1009;
    moe_tensor_view view = {.address = rig_buffer(&rig, in, sizeof in), .dtype = MOE_F32,
                            .rank = 2, .size = {WORDS, ROWS}, .stride = {4, WORDS * 4},
                            .box = {WORDS, 16}, .swizzle = 0};
    assert_int_equal(moe_device_sim.tensor_map(rig.self, &view, args.map), MOE_OK);
    args.out = rig_buffer(&rig, NULL, BLOCKS * 512 * sizeof(int));
    moe_status status =
        moe_device_sim.launch(rig.self, rig.module, 0, &dims, &args, sizeof args, NULL);
    if (!status) rig_read(&rig, out, args.out, BLOCKS * 512 * sizeof(int));
    for (int i = 0; !status && i < BLOCKS * 512; i++) {
        int want = in[i / 1024 * 512 + i % 512];
        assert_int_equal(out[i], i / 512 % 2 ? -want : want);
    }
    rig_close(&rig);
    return status;
}

static void both_blocks_get_a_multicast(void **state) {
    int out[BLOCKS * 512];
    char device[32];
    (void)state;
    for (int seed = 0; seed < 20; seed++) {
        snprintf(device, sizeof device, "h100,seed=%d", seed);
        moe_status status = run(device, source, out);
        if (status) fail_msg("seed %d: %s", seed, moe_error_text());
    }
}

static void a_barrier_must_be_ready_in_the_other_block(void **state) {
    int out[BLOCKS * 512], caught = 0;
    char text[8192], device[32];
    (void)state;
    snprintf(text, sizeof text, "#define BUG\n%s", source);
    for (int seed = 0; seed < 8; seed++) {
        snprintf(device, sizeof device, "h100,seed=%d", seed);
        caught += run(device, text, out) == MOE_E_FAULT;
    }
    assert_true(caught > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_blocks_get_a_multicast),
        cmocka_unit_test(a_barrier_must_be_ready_in_the_other_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
