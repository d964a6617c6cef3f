/* label: sim */
/* test_control.c - divergence, calls, barriers, special registers; and what ends a launch. */
#include "kernel_case.h"

#include "core/status.h"
#include "nvrtc_for_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THREADS = 256 };

static void collatz(const uint32_t *in, uint32_t *out) {
    for (int i = 0; i < 4 * THREADS; i++)
        for (uint64_t x = in[i] % 100000 + 1; x != 1; x = x & 1 ? 3 * x + 1 : x / 2) out[i]++;
}

static uint32_t nested_sum(uint32_t x) {
    uint32_t sum = 0;

    for (uint32_t i = 0; i < (x & 15); i++) {
        if ((x >> i & 3) == 1) continue;
        for (uint32_t j = i; j < 20; j++) {
            if ((j * x & 31) == 7) break;
            sum += j ^ i;
            if (sum > 500) return sum;
        }
        sum += 3;
    }
    return sum;
}

static void nested(const uint32_t *in, uint32_t *out) {
    for (int i = 0; i < 2 * THREADS; i++) out[i] = nested_sum(in[i]);
}

static uint32_t case_of(uint32_t x) {
    uint32_t reversed = 0;

    for (int i = 0; i < 32; i++) reversed |= (x >> i & 1) << (31 - i);
    switch (x % 13) {
    case 0: return x + 1;
    case 1: return x * 3;
    case 2: return x >> 3;
    case 3: return ~x + x / 7;
    case 4: return x / 7;
    case 5: return x ^ 0x5555;
    case 6: return x % 1000;
    case 7: return 0;
    case 8: return (uint32_t)__builtin_popcount(x);
    case 9: return x ? (uint32_t)__builtin_clz(x) : 32;
    case 10: return reversed;
    default: return 9;
    }
}

static void cases_of(const uint32_t *in, uint32_t *out) {
    for (int i = 0; i < 2 * THREADS; i++) out[i] = case_of(in[i]);
}

static uint32_t mix(uint32_t a, uint64_t b, float c, const uint32_t *p) {
    return a * 3 + (uint32_t)(b >> 32) + (uint32_t)c + p[a & 7];
}

static void calls(const uint32_t *in, uint32_t *out) {
    for (int i = 0; i < 2 * THREADS; i++) {
        uint32_t x = in[i], odd = x & 1, y = 0;
        uint32_t a = odd ? x : x / 2, b = odd ? x * 2 : x / 3, c = odd ? x * 3 : x / 5;
        if (x & 4) y = mix(x, (uint64_t)x << 30, (float)(x & 255), in);
        if (x & 8) y += mix(a, 5ull << 32, 2.5f, in + 8);
        out[i] = y + b - c;
    }
}

static bool stays(int t) {
    return !(t >> 5 & 1) && !(t & 1);
}

static void early_exit(const uint32_t *in, uint32_t *out) {
    uint32_t sum = 0;

    for (int t = 0; t < 256; t++) sum += stays(t) ? in[t] : 0;
    for (int t = 0; t < 256; t++) out[t] = stays(t) ? sum : 0;
}

static void barrier_votes(const uint32_t *in, uint32_t *out) {
    uint32_t count = 0, any = 0;

    for (int t = 0; t < 200; t++) {
        count += (in[t] & 3) == 0;
        any |= (in[t] & 3) == 3 && t < 8;
    }
    for (int t = 0; t < 200; t++) out[t] = count * 4 + 2 + any;
}

static void named_barriers(const uint32_t *in, uint32_t *out) {
    for (int lane = 0; lane < 64; lane++)
        for (int i = 0; i < 8; i++) out[lane] = out[lane] * 5 + in[i * 64 + 63 - lane];
}

static void warp_scan(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 256; t++) out[t] = (t ? out[t - 1] : 0) + (in[t] & 0xffff);
}

static void syncwarp(const uint32_t *in, uint32_t *out) {
    uint32_t next[128];

    memcpy(out, in, 128 * sizeof *in);
    for (int i = 0; i < 5; i++) {
        for (int t = 0; t < 128; t++) next[t] = out[t] * 3 + out[t ^ (1 << i)];
        memcpy(out, next, sizeof next);
    }
}

static void registers(const uint32_t *in, uint32_t *out) {
    (void)in;
    for (uint32_t i = 0; i < 3 * 80; i++) {
        uint32_t t = i % 80, lane = t % 32;
        out[i] = lane + t / 32 * 100 + lane * 10000 + 3 * 1000000 + 80u * 10000000;
    }
}

static void partial_warp(const uint32_t *in, uint32_t *out) {
    for (int t = 0; t < 45; t++)
        for (int lane = 0; lane < 32 && t / 32 * 32 + lane < 45; lane++)
            out[t] |= (in[t / 32 * 32 + lane] & 1) << lane;
}

static void inline_asm(const uint32_t *in, uint32_t *out) {
    for (int i = 0; i < 128; i++) out[i] = (in[i] & 1023) / 17 * 65536 + (in[i] & 1023) / 5;
}

static void math(const uint32_t *in, uint32_t *out) {
    (void)in;
    for (int i = 0; i < 2 * THREADS; i++) out[i] = 31;
}

static const kernel_case cases[] = {
    {"collatz", 4, THREADS, 0, collatz, false},
    {"nested", 2, THREADS, 0, nested, false},
    {"cases", 2, THREADS, 0, cases_of, false},
    {"calls", 2, THREADS, 0, calls, false},
    {"early_exit", 1, 256, 0, early_exit, false},
    {"barrier_votes", 1, 200, 0, barrier_votes, false},
    {"named_barriers", 1, 128, 0, named_barriers, false},
    {"warp_scan", 1, 256, 0, warp_scan, false},
    {"syncwarp", 1, 128, 0, syncwarp, false},
    {"registers", 3, 80, 0, registers, false},
    {"partial_warp", 1, 45, 0, partial_warp, false},
    {"inline_asm", 1, 128, 0, inline_asm, false},
    {"math", 2, THREADS, 0, math, false},
};

static void control_kernels(void **state) {
    (void)state;
    kernel_cases_check("tests/sim/control.cu", cases, sizeof cases / sizeof *cases);
}

/* Every thread of a grid and block of three dimensions finds its own place. */
static void three_dimensions(void **state) {
    static const char source[] =
        "extern \"C\" __global__ void k(unsigned *out)\n"
        "{\n"
        "    unsigned t = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;\n"
        "    unsigned b = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;\n"
        "    out[b * 60 + t] = blockIdx.z * 100000 + blockIdx.y * 10000 + blockIdx.x * 1000 +\n"
        "        threadIdx.z * 100 + threadIdx.y * 10 + threadIdx.x;\n"
        "}\n";
    moe_dims dims = {.grid = {3, 2, 4}, .block = {5, 4, 3}, .cluster = 1};
    uint32_t out[24 * 60];
    moe_ptr at;
    sim_rig rig;

    (void)state;
    rig_open(&rig, "h100,seed=2");
    rig_cuda(&rig, source, "compute_90a");
    at = rig_buffer(&rig, NULL, sizeof out);
    if (moe_device_sim.launch(rig.self, rig.module, 0, &dims, &at, sizeof at, NULL) != MOE_OK)
        fail_msg("%s", moe_error_text());
    rig_read(&rig, out, at, sizeof out);
    rig_close(&rig);
    for (uint32_t i = 0; i < 24 * 60; i++) {
        uint32_t b = i / 60, t = i % 60;
        assert_int_equal(out[i], b / 6 * 100000 + b / 3 % 2 * 10000 + b % 3 * 1000 + t / 20 * 100 +
                                     t / 5 % 4 * 10 + t % 5);
    }
}

/* A struct by value: members of every width, an array with an index known only at run time. */
static void struct_parameter(void **state) {
    static const char source[] =
        "struct args { char c; short h; int list[7]; double d; const int *in; float f; int *out; "
        "};\n"
        "extern \"C\" __global__ void k(args a, unsigned char last)\n"
        "{\n"
        "    int t = threadIdx.x;\n"
        "    a.out[t] = a.c + a.h + a.list[a.in[t] % 7] + (int)a.d + (int)a.f + last;\n"
        "}\n";
    struct {
        struct {
            int8_t c;
            int16_t h;
            int32_t list[7];
            double d;
            moe_ptr in;
            float f;
            moe_ptr out;
        } a;
        uint8_t last;
    } args = {{-5, -300, {1, 20, 300, 4000, 50000, 600000, 7000000}, 1e6, 0, -2.5f, 0}, 200};
    int32_t in[32], out[32];
    sim_rig rig;

    (void)state;
    for (int i = 0; i < 32; i++) in[i] = i * 5;
    rig_open(&rig, "a100");
    rig_cuda(&rig, source, "compute_80");
    args.a.in = rig_buffer(&rig, in, sizeof in);
    args.a.out = rig_buffer(&rig, NULL, sizeof out);
    rig_run(&rig, 1, 32, 0, &args, sizeof args.a + 1);
    rig_read(&rig, out, args.a.out, sizeof out);
    rig_close(&rig);
    for (int i = 0; i < 32; i++)
        assert_int_equal(out[i], -5 - 300 + args.a.list[in[i] % 7] + 1000000 - 2 + 200);
}

/* ------------------------------------------------------------------------- PTX by hand */

#define HEAD ".version 9.0\n.target sm_80\n.address_size 64\n"

/* A jump through a table, which the compiler rarely writes. */
static const char table_jump[] =
    HEAD ".visible .entry k(.param .u64 out)\n{\n"
         "    .reg .b64 %at;\n    .reg .b32 %t, %i, %d;\n"
         "    mov.u32 %t, %tid.x;\n    and.b32 %i, %t, 3;\n"
         "    ts: .branchtargets A, B, C, A;\n"
         "    brx.idx %i, ts;\n"
         "A:  mov.u32 %d, 10;\n    bra.uni DONE;\n"
         "B:  mov.u32 %d, 20;\n    bra.uni DONE;\n"
         "C:  add.s32 %d, %t, 1000;\n"
         "DONE:\n    ld.param.u64 %at, [out];\n    mad.wide.u32 %at, %t, 4, %at;\n"
         "    st.global.u32 [%at], %d;\n    ret;\n}\n";

static void jump_through_a_table(void **state) {
    uint32_t out[64];
    moe_ptr at;
    sim_rig rig;

    (void)state;
    rig_open(&rig, "a100");
    rig_load(&rig, table_jump, "k");
    at = rig_buffer(&rig, NULL, sizeof out);
    rig_run(&rig, 1, 64, 0, &at, sizeof at);
    rig_read(&rig, out, at, sizeof out);
    rig_close(&rig);
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(out[t], t % 4 == 1 ? 20 : t % 4 == 2 ? 1000 + t : 10);
}

static void expect_fault(const char *body, const char *word) {
    char text[1024];
    moe_status status;
    sim_rig rig;

    snprintf(text, sizeof text,
             HEAD ".visible .entry k()\n{\n    .reg .b32 %%x;\n    .reg .pred %%p;\n%s\n}\n", body);
    rig_open(&rig, "a100");
    rig_load(&rig, text, "k");
    status = rig_try(&rig, 1, 32, 0, NULL, 0);
    rig_close(&rig);
    if (status != MOE_E_FAULT) fail_msg("%s for %s", moe_status_text(status), body);
    if (!strstr(moe_error_text(), word)) fail_msg("no '%s' in: %s", word, moe_error_text());
}

static void trap_is_a_fault(void **state) {
    (void)state;
    expect_fault("    trap;\n    ret;", "trap");
}

/* A loop that never ends must come back with a message, not hang. */
static void endless_loop_is_a_fault(void **state) {
    (void)state;
    expect_fault("L:  add.s32 %x, 1, 2;\n    bra L;", "");
}

static void unknown_instruction_is_refused(void **state) {
    sim_rig rig;
    moe_status status;

    (void)state;
    rig_open(&rig, "a100");
    status = rig_try_load(&rig, HEAD ".visible .entry k()\n{\n    .reg .b32 %x;\n"
                                     "    frobnicate.b32 %x, 1;\n    ret;\n}\n", "k");
    rig_close(&rig);
    assert_int_equal(status, MOE_E_UNSUPPORTED);
    assert_non_null(strstr(moe_error_text(), "frobnicate"));
    assert_non_null(strstr(moe_error_text(), "7"));
}

/* Registers are laid out when a kernel is loaded, so a function cannot be on top of itself. */
static void recursion_is_refused(void **state) {
    static const char source[] =
        "__device__ __noinline__ int f(int x) { return x < 2 ? x : f(x - 1) + f(x - 2); }\n"
        "extern \"C\" __global__ void k(int *out) { *out = f(*out); }\n";
    char *ptx = nvrtc_ptx(source, "recursion.cu", "compute_80", NULL);
    moe_status status;
    sim_rig rig;

    (void)state;
    rig_open(&rig, "a100");
    status = rig_try_load(&rig, ptx, "k");
    rig_close(&rig);
    free(ptx);
    assert_int_equal(status, MOE_E_UNSUPPORTED);
    assert_non_null(strstr(moe_error_text(), "recursi"));
}

static void damaged_text_is_refused(void **state) {
    static const char *const texts[] = {
        "", "garbage", HEAD, HEAD ".visible .entry k(", HEAD ".visible .entry k()\n{\n",
        HEAD ".visible .entry k()\n{\n    bra NOWHERE;\n}\n",
        HEAD ".visible .entry k()\n{\n    add.s32 %r1, %r2, 3;\n    ret;\n}\n",
        HEAD ".visible .entry k()\n{\n    .reg .b32 %x;\n    add.s32 %x, %x;\n    ret;\n}\n",
        HEAD ".visible .entry k()\n{\n    .reg .b32 %x;\n    mov.b32 %x, \n",
        HEAD ".visible .entry other()\n{\n    ret;\n}\n",
    };
    sim_rig rig;

    (void)state;
    rig_open(&rig, "a100");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (rig_try_load(&rig, texts[i], "k") == MOE_OK) fail_msg("accepted: %s", texts[i]);
    rig_close(&rig);
}

static void misuse_is_refused(void **state) {
    static const char *const wrong[] = {"", "nochip", "h100,", "h100,seed", "h100,seed=x",
                                        "h100,threads=-1", "h100,speed=9"};
    void *self;
    sim_rig rig;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (moe_device_sim.open(wrong[i], &self) == MOE_OK) fail_msg("opened sim:%s", wrong[i]);
    rig_open(&rig, "a100");
    rig_load(&rig, HEAD ".visible .entry k(.param .u64 out)\n{\n    ret;\n}\n", "k");
    assert_int_not_equal(rig_try(&rig, 1, 0, 0, &self, 8), MOE_OK);       /* no threads */
    assert_int_not_equal(rig_try(&rig, 1, 1025, 0, &self, 8), MOE_OK);    /* too many */
    assert_int_not_equal(rig_try(&rig, 1, 32, 200000, &self, 8), MOE_OK); /* shared memory */
    assert_int_not_equal(rig_try(&rig, 1, 32, 0, &self, 4), MOE_OK);      /* parameters */
    rig_close(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_kernels),
        cmocka_unit_test(three_dimensions),
        cmocka_unit_test(struct_parameter),
        cmocka_unit_test(jump_through_a_table),
        cmocka_unit_test(trap_is_a_fault),
        cmocka_unit_test(endless_loop_is_a_fault),
        cmocka_unit_test(unknown_instruction_is_refused),
        cmocka_unit_test(recursion_is_refused),
        cmocka_unit_test(damaged_text_is_refused),
        cmocka_unit_test(misuse_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
