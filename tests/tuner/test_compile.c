/* label: compile
 * NVRTC without a GPU: images, resources, error positions, hashes and limits. */
#include "compile/compile.h"
#include "compile/nvrtc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char two_kernels[] =
    "extern \"C\" __global__ void first(float *p) {\n"
    "    __shared__ float s[64];\n"
    "    s[threadIdx.x] = p[threadIdx.x];\n"
    "    __syncthreads();\n"
    "    p[threadIdx.x] = s[63 - threadIdx.x];\n"
    "}\n"
    "extern \"C\" __global__ void __launch_bounds__(1024) second(float *p, int n) {\n"
    "    float v[200];\n"
    "#pragma unroll\n"
    "    for (int i = 0; i < 200; i++) v[i] = p[i * n];\n"
    "    for (int j = 0; j < n; j++)\n"
    "#pragma unroll\n"
    "        for (int i = 0; i < 200; i++) v[i] = v[i] * v[(i + 7) % 200] + 1;\n"
    "#pragma unroll\n"
    "    for (int i = 0; i < 200; i++) p[i] = v[i];\n"
    "}\n";

static const char *const arches[] = {"sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120a"};

static void compile_or_fail(const char *text, const char *arch, moe_compiled *out) {
    moe_status status = moe_compile_text("text.cu", text, arch, out);
    if (status) fail_msg("%s: %s", arch, moe_error_text());
}

static void test_every_arch_gives_cubin_ptx_and_resources(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof arches / sizeof arches[0]; i++) {
        moe_compiled compiled;
        moe_kernel first = {0}, second = {0}, none = {0};
        compile_or_fail(two_kernels, arches[i], &compiled);
        assert_int_equal(compiled.outcome, MOE_OUTCOME_OK);
        assert_memory_equal(compiled.cubin, "\177ELF", 4);
        assert_non_null(strstr(compiled.ptx, ".entry second"));
        assert_true(moe_log_resources(compiled.log, "first", &first));
        assert_true(moe_log_resources(compiled.log, "second", &second));
        assert_false(moe_log_resources(compiled.log, "firs", &none));
        assert_int_equal(first.static_smem, 256);
        assert_int_equal(first.spills, 0);
        assert_in_range(first.regs, 4, 32);
        assert_in_range(second.regs, 16, 64);
        assert_true(second.spills > 500);
        assert_string_equal(compiled.image.arch, arches[i]);
        moe_compiled_free(&compiled);
    }
}

static void test_an_error_names_the_template_line(void **state) {
    (void)state;
    moe_compiled compiled;
    compile_or_fail("#line 41 \"templates/x.cu\"\nextern \"C\" __global__ void k() { nope; }\n",
                    "sm_80", &compiled);
    assert_int_equal(compiled.outcome, MOE_OUTCOME_COMPILE_FAILED);
    assert_non_null(strstr(compiled.reason, "templates/x.cu(41): error"));
    assert_non_null(strstr(compiled.reason, "nope"));
    assert_null(compiled.cubin);
    moe_compiled_free(&compiled);
}

static void test_too_much_shared_memory_is_over_limit(void **state) {
    (void)state;
    moe_compiled compiled;
    compile_or_fail("extern \"C\" __global__ void k(int *p) {\n"
                    "    __shared__ int s[100000];\n"
                    "    s[threadIdx.x * 97] = p[0]; __syncthreads(); p[threadIdx.x] = s[p[1]];\n"
                    "}\n", "sm_80", &compiled);
    assert_int_equal(compiled.outcome, MOE_OUTCOME_OVER_LIMIT);
    assert_non_null(strstr(compiled.reason, "400000"));
    moe_compiled_free(&compiled);
}

static void test_an_unknown_arch_is_an_error(void **state) {
    (void)state;
    moe_compiled compiled;
    moe_status status = moe_compile_text("text.cu", "", "sm_7", &compiled);
    assert_int_equal(status, MOE_E_UNSUPPORTED);
    assert_non_null(strstr(moe_error_text(), "sm_7"));
}

static void test_a_missing_kernel_is_the_templates_fault(void **state) {
    (void)state;
    char text[] = "extern \"C\" __global__ void other() {}\n";
    moe_source source = {.text = text, .size = strlen(text)};
    source.launch = (moe_launch){.kernels = 1, .kernel = {{.symbol = "moe_route_0"}}};
    for (int ptx_alone = 0; ptx_alone < 2; ptx_alone++) {
        moe_compiled compiled;
        assert_int_equal(moe_compile(&source, ptx_alone ? "compute_80" : "sm_80", &compiled),
                         MOE_OK);
        assert_int_equal(compiled.outcome, MOE_OUTCOME_COMPILE_FAILED);
        assert_non_null(strstr(compiled.reason, "moe_route_0"));
        moe_compiled_free(&compiled);
    }
}

/* PTX alone is the PTX of the whole compile, under another hash. */
static void test_ptx_alone(void **state) {
    (void)state;
    char text[] = "extern \"C\" __global__ void moe_k(int *p) { *p = 1; }\n";
    moe_source source = {.text = text, .size = strlen(text)};
    source.launch = (moe_launch){.kernels = 1, .kernel = {{.symbol = "moe_k"}}};
    for (size_t i = 0; i < sizeof arches / sizeof arches[0]; i++) {
        moe_compiled whole, alone;
        assert_int_equal(moe_compile(&source, arches[i], &whole), MOE_OK);
        assert_int_equal(moe_compile(&source, moe_arch_of_ptx(arches[i]).text, &alone), MOE_OK);
        assert_int_equal(alone.outcome, MOE_OUTCOME_OK);
        assert_string_equal(alone.ptx, whole.ptx);
        assert_null(alone.image.cubin);
        assert_true(whole.image.launch.kernel[0].regs > 0);
        assert_int_equal(alone.image.launch.kernel[0].regs, 0);
        assert_string_not_equal(alone.hash, whole.hash);
        moe_compiled_free(&whole);
        moe_compiled_free(&alone);
    }
}

static void hash_of(const char *text, const char *arch, const char *toolkit, char *hash) {
    moe_image_hash(text, arch, toolkit, hash);
    assert_int_equal(strlen(hash), 32);
}

static void test_the_hash_covers_text_arch_and_compiler_but_no_line_marks(void **state) {
    (void)state;
    char plain[MOE_HASH_SIZE], marked[MOE_HASH_SIZE], other[MOE_HASH_SIZE];
    hash_of("a\nb\n", "sm_80", "13.0", plain);
    hash_of("#line 7 \"x.cu\"\na\n#line 9 \"y.cu\"\nb\n", "sm_80", "13.0", marked);
    assert_string_equal(plain, marked);
    hash_of("a\nc\n", "sm_80", "13.0", other);
    assert_string_not_equal(plain, other);
    hash_of("a\nb\n", "sm_86", "13.0", other);
    assert_string_not_equal(plain, other);
    hash_of("a\nb\n", "sm_80", "13.1", other);
    assert_string_not_equal(plain, other);
}

static void test_limits(void **state) {
    (void)state;
    const moe_facts facts = {.smem = 1000, .regs_sm = 65536};
    const struct {
        moe_kernel kernel;
        const char *reason; /* NULL: fits */
    } cases[] = {
        {{.block = 256, .smem = 900, .static_smem = 100, .regs = 255}, NULL},
        {{.block = 256, .smem = 900, .static_smem = 101, .regs = 32}, "shared memory"},
        {{.block = 288, .regs = 225}, "registers"},
        {{.block = 32, .regs = 32, .spills = 5000}, "spilled"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char reason[MOE_REASON_SIZE] = "";
        const moe_launch launch = {.kernels = 1, .kernel = {cases[i].kernel}};
        bool fits = moe_launch_fits(&launch, &facts, reason, sizeof reason);
        assert_int_equal(fits, cases[i].reason == NULL);
        if (cases[i].reason) assert_non_null(strstr(reason, cases[i].reason));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_arch_gives_cubin_ptx_and_resources),
        cmocka_unit_test(test_an_error_names_the_template_line),
        cmocka_unit_test(test_too_much_shared_memory_is_over_limit),
        cmocka_unit_test(test_an_unknown_arch_is_an_error),
        cmocka_unit_test(test_a_missing_kernel_is_the_templates_fault),
        cmocka_unit_test(test_ptx_alone),
        cmocka_unit_test(test_the_hash_covers_text_arch_and_compiler_but_no_line_marks),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
