/* label: sim
 * test_bulk.c - bulk reductions, every operation of every type, against exact arithmetic; what PTX
 * does not have is refused. */
#include "core/status.h"
#include "exact.h"
#include "kernel_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS = 512, BLOCK = 64 };

/* An element of up to 8 bytes: what is there, and what comes. */
typedef uint64_t reducer(uint64_t there, uint64_t comes);

/* Elements of `bytes` bytes, of which `mask` keeps some bits in every word. */
static void reduced(const uint32_t *in, uint32_t *out, size_t bytes, uint32_t mask,
                    reducer *reduce) {
    uint32_t there[WORDS], comes[WORDS];

    for (int i = 0; i < WORDS; i++) {
        comes[i] = in[i] & mask;
        there[i] = in[1024 + i] & mask;
    }
    for (size_t at = 0; at < sizeof there; at += bytes) {
        uint64_t a = 0, b = 0;
        memcpy(&a, (char *)there + at, bytes);
        memcpy(&b, (char *)comes + at, bytes);
        a = reduce(a, b);
        memcpy((char *)out + at, &a, bytes);
    }
    for (int i = 0; i < WORDS; i++) out[1024 + i] = ~out[i];
}

/* REDUCE(name, bytes, mask, expression): `a` is there, `b` comes. ORDER bulk.cu */
#define REDUCE(name, bytes, mask, expression)                                                      \
    static uint64_t name##_element(uint64_t a, uint64_t b) {                                       \
        return (expression);                                                                       \
    }                                                                                              \
    static void name(const uint32_t *in, uint32_t *out) {                                          \
        reduced(in, out, bytes, mask, name##_element);                                             \
    }

static uint64_t sum(exact_format format, uint64_t a, uint64_t b) {
    return exact_round(format, exact_add(exact_of(format, a), exact_of(format, b)), RN);
}

static uint64_t flushed_sum(uint64_t a, uint64_t b) {
    return exact_flush(F32, sum(F32, exact_flush(F32, a), exact_flush(F32, b)));
}

REDUCE(add_u32, 4, ~0u, a + b)
REDUCE(add_u64, 8, ~0u, a + b)
REDUCE(min_u32, 4, ~0u, a < b ? a : b)
REDUCE(max_u32, 4, ~0u, a > b ? a : b)
REDUCE(min_s32, 4, ~0u, (int32_t)a < (int32_t)b ? a : b)
REDUCE(max_s32, 4, ~0u, (int32_t)a > (int32_t)b ? a : b)
REDUCE(min_u64, 8, ~0u, a < b ? a : b)
REDUCE(max_s64, 8, ~0u, (int64_t)a > (int64_t)b ? a : b)
REDUCE(inc_u32, 4, ~0u, a >= b ? 0 : a + 1)
REDUCE(dec_u32, 4, ~0u, a == 0 || a > b ? b : a - 1)
REDUCE(and_b32, 4, ~0u, a & b)
REDUCE(or_b32, 4, ~0u, a | b)
REDUCE(xor_b64, 8, ~0u, a ^ b)
REDUCE(add_f32, 4, 0x81ffffffu, flushed_sum(a, b))
REDUCE(add_f64, 8, 0xbfffffffu, sum(F64, a, b))
REDUCE(add_f16, 2, 0xbfffbfffu, sum(F16, a, b))
REDUCE(add_bf16, 2, 0xbfffbfffu, sum(BF16, a, b))
REDUCE(min_f16, 2, ~0u, exact_min(F16, a, b))
REDUCE(max_bf16, 2, ~0u, exact_max(BF16, a, b))

#define CASE(name, expect) {name, 1, BLOCK, 0, expect, true}
static const kernel_case cases[] = {
    CASE("add_u32", add_u32),   CASE("add_s32", add_u32),   CASE("add_u64", add_u64),
    CASE("min_u32", min_u32),   CASE("max_u32", max_u32),   CASE("min_s32", min_s32),
    CASE("max_s32", max_s32),   CASE("min_u64", min_u64),   CASE("max_s64", max_s64),
    CASE("inc_u32", inc_u32),   CASE("dec_u32", dec_u32),   CASE("and_b32", and_b32),
    CASE("or_b32", or_b32),     CASE("xor_b64", xor_b64),   CASE("add_f32", add_f32),
    CASE("add_f64", add_f64),   CASE("add_f16", add_f16),   CASE("add_bf16", add_bf16),
    CASE("min_f16", min_f16),   CASE("max_bf16", max_bf16),
};

static void reductions(void **state) {
    (void)state;
    kernel_cases_check("tests/sim/bulk.cu", cases, sizeof cases / sizeof *cases);
}

/* What the compiler lets pass, or another one might. */
static void impossible_reductions_are_refused(void **state) {
    static const char *const operations[] = {"min.f32", "add.s64", "add.bf16", "and.u32",
                                             "inc.u64", "exch.b32", "add.noftz.f32"};
    char ptx[1024];
    sim_rig rig;

    (void)state;
    rig_open(&rig, "h100");
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        snprintf(ptx, sizeof ptx,
                 ".version 8.0\n.target sm_90a\n.address_size 64\n"
                 ".shared .align 16 .b8 s[16];\n"
                 ".visible .entry k(.param .u64 out)\n{\n.reg .b64 %%rd<2>;\n"
                 "ld.param.u64 %%rd1, [out];\n"
                 "cp.reduce.async.bulk.global.shared::cta.bulk_group.%s [%%rd1], [s], 16;\n"
                 "ret;\n}\n",
                 operations[i]);
        if (rig_try_load(&rig, ptx, "k") == MOE_OK) fail_msg("%s was taken", operations[i]);
        if (!strstr(moe_error_text(), "PTX line 9"))
            fail_msg("%s: %s", operations[i], moe_error_text());
    }
    rig_close(&rig);
}

/* The type of a tensor's elements is known only when the kernel runs. */
static void f32_tensors_have_no_minimum(void **state) {
    static const char source[] =
        "struct __align__(128) tensor_map { unsigned long long opaque[16]; };\n"
        "extern \"C\" __global__ void k(const __grid_constant__ tensor_map map) {\n"
        "    __shared__ __align__(128) float s[32];\n"
        "    s[threadIdx.x] = 1;\n"
        "    asm volatile(\"fence.proxy.async;\" ::: \"memory\");\n"
        "    __syncwarp();\n"
        "    if (threadIdx.x == 0) asm volatile("
        "\"cp.reduce.async.bulk.tensor.1d.global.shared::cta\"\n"
        "        \".min.tile.bulk_group [%0, {%1}], [%2]; cp.async.bulk.commit_group;\"\n"
        "        \"cp.async.bulk.wait_group 0;\"\n"
        "        :: \"l\"(&map), \"r\"(0), \"r\"((unsigned)__cvta_generic_to_shared(s)) : "
        "\"memory\");\n"
        "}\n";
    _Alignas(MOE_TENSOR_MAP_ALIGN) unsigned char map[MOE_TENSOR_MAP_SIZE];
    sim_rig rig;

    (void)state;
    rig_open(&rig, "h100");
    rig_cuda(&rig, source, "compute_90a");
    moe_tensor_view view = {.address = rig_buffer(&rig, NULL, 128), .dtype = MOE_F32, .rank = 1,
                            .size = {32}, .stride = {4}, .box = {32}};
    assert_int_equal(moe_device_sim.tensor_map(rig.self, &view, map), MOE_OK);
    assert_int_equal(rig_try(&rig, 1, 32, 0, map, sizeof map), MOE_E_FAULT);
    assert_non_null(strstr(moe_error_text(), "value out of range: block 0 warp 0 lane 0 reduces "
                                             "into a tensor of f32"));
    rig_close(&rig);
}

/* Copies a box of 8 x 2 to or from (x, y). */
static const char boxes_source[] =
    "struct __align__(128) tensor_map { unsigned long long opaque[16]; };\n"
    "struct arguments { tensor_map map; int x, y, load; };\n"
    "__device__ unsigned window(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }\n"
    "extern \"C\" __global__ void k(const __grid_constant__ arguments a) {\n"
    "    __shared__ __align__(128) float s[16];\n"
    "    __shared__ unsigned long long full;\n"
    "    if (threadIdx.x != 0) return;\n"
    "    for (int i = 0; i < 16; i++) s[i] = i;\n"
    "    asm volatile(\"fence.proxy.async.shared::cta;\" ::: \"memory\");\n"
    "    asm volatile(\"mbarrier.init.shared::cta.b64 [%0], 1;\" :: \"r\"(window(&full)) : "
    "\"memory\");\n"
    "    if (a.load) {\n"
    "        asm volatile(\"mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], 64;\" :: "
    "\"r\"(window(&full)) : \"memory\");\n"
    "        asm volatile("
    "\"cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
    "[%0], [%1, {%2, %3}], [%4];\"\n"
    "            :: \"r\"(window(s)), \"l\"(&a.map), \"r\"(a.x), \"r\"(a.y), \"r\"(window(&full)) "
    ": \"memory\");\n"
    "        asm volatile(\"{ .reg .pred p; again: mbarrier.try_wait.parity.shared::cta.b64 p, "
    "[%0], 0; @!p bra again; }\" :: \"r\"(window(&full)) : \"memory\");\n"
    "    } else {\n"
    "        asm volatile(\"cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, "
    "%2}], [%3];\"\n"
    "            :: \"l\"(&a.map), \"r\"(a.x), \"r\"(a.y), \"r\"(window(s)) : \"memory\");\n"
    "        asm volatile(\"cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;\" ::: "
    "\"memory\");\n"
    "    }\n"
    "}\n";

static void boxes_begin_where_hardware_takes_them(void **state) {
    static const struct {
        int x, y, load;
        const char *finding; /* NULL: a good box */
    } boxes[] = {
        {12, 3, 1, NULL}, {12, 3, 0, NULL}, {-4, -1, 1, NULL}, {400, 0, 1, NULL}, {400, 9, 0, NULL},
        {3, 0, 1, "begins at byte 12"}, {10, 0, 0, "begins at byte 40"},
        {-2, 0, 1, "begins at byte -8"}, {-4, 0, 0, "begins at coordinate -4"},
        {0, -1, 0, "begins at coordinate -1"},
    };
    struct {
        _Alignas(MOE_TENSOR_MAP_ALIGN) unsigned char map[MOE_TENSOR_MAP_SIZE];
        int x, y, load;
    } args;

    (void)state;
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        sim_rig rig;
        float zeros[16 * 4] = {0};
        rig_open(&rig, "h100");
        rig_cuda(&rig, boxes_source, "compute_90a");
        moe_tensor_view view = {.address = rig_buffer(&rig, zeros, sizeof zeros),
                                .dtype = MOE_F32, .rank = 2, .size = {16, 4}, .stride = {4, 64},
                                .box = {8, 2}};
        assert_int_equal(moe_device_sim.tensor_map(rig.self, &view, args.map), MOE_OK);
        args.x = boxes[i].x, args.y = boxes[i].y, args.load = boxes[i].load;
        moe_status status = rig_try(&rig, 1, 32, 0, &args, sizeof args);
        if (status != (boxes[i].finding ? MOE_E_FAULT : MOE_OK))
            fail_msg("box %zu: %s", i, status ? moe_error_text() : "no finding");
        if (boxes[i].finding && !strstr(moe_error_text(), boxes[i].finding))
            fail_msg("box %zu: %s", i, moe_error_text());
        rig_close(&rig);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions),
        cmocka_unit_test(impossible_reductions_are_refused),
        cmocka_unit_test(f32_tensors_have_no_minimum),
        cmocka_unit_test(boxes_begin_where_hardware_takes_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
