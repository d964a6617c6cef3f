/* label: compile
 * Compiler processes: results are those of moe_compile, and crashes and hangs are outcomes. */
#include "compile/compile_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static moe_source source_of(char *text) {
    moe_source source = {.text = text, .size = strlen(text), .template_id = "test@00000000"};
    source.launch = (moe_launch){.kernels = 1, .kernel = {{.symbol = "k", .block = 32}}};
    return source;
}

#define kernel_text "extern \"C\" __global__ void k(int *p) { p[threadIdx.x] = %d; }\n"

static void test_results_equal_those_of_a_direct_compile(void **state) {
    (void)state;
    enum { COUNT = 6 };
    moe_compile_pool *pool;
    int64_t next = 0, done = 0, seen = 0;
    assert_int_equal(moe_compile_pool_open(2, 30, &pool), MOE_OK);
    while (done < COUNT) {
        char text[200];
        while (next < COUNT && moe_compile_pool_idle(pool)) {
            snprintf(text, sizeof text, kernel_text, (int)next);
            moe_source source = source_of(text);
            assert_int_equal(moe_compile_pool_submit(pool, &source, "sm_80", next++), MOE_OK);
        }
        int64_t ticket;
        moe_compiled pooled, direct;
        assert_int_equal(moe_compile_pool_take(pool, &ticket, &pooled), MOE_OK);
        snprintf(text, sizeof text, kernel_text, (int)ticket);
        moe_source source = source_of(text);
        assert_int_equal(moe_compile(&source, "sm_80", &direct), MOE_OK);
        assert_int_equal(pooled.outcome, MOE_OUTCOME_OK);
        assert_string_equal(pooled.hash, direct.hash);
        assert_string_equal(pooled.ptx, direct.ptx);
        assert_int_equal(pooled.image.cubin_size, direct.image.cubin_size);
        assert_memory_equal(pooled.cubin, direct.cubin, direct.image.cubin_size);
        assert_int_equal(pooled.image.launch.kernel[0].regs, direct.image.launch.kernel[0].regs);
        assert_true(pooled.image.launch.kernel[0].regs > 0);
        seen |= INT64_C(1) << ticket;
        moe_compiled_free(&pooled);
        moe_compiled_free(&direct);
        done++;
    }
    assert_int_equal(seen, (1 << COUNT) - 1);
    moe_compile_pool_close(pool);
}

/* An expression so deep that the compiler needs many seconds for it. */
static char *endless(void) {
    enum { DEPTH = 200000 };
    char *text = malloc(4 * DEPTH + 100);
    assert_non_null(text);
    int used = sprintf(text, "extern \"C\" __global__ void k(int *p) { p[0] = ");
    for (int i = 0; i < DEPTH; i++) memcpy(text + used + 3 * i, "-(~", 3);
    used += 3 * DEPTH;
    used += sprintf(text + used, "p[1]");
    memset(text + used, ')', DEPTH);
    strcpy(text + used + DEPTH, "; }\n");
    return text;
}

static void test_a_hang_is_a_timeout_and_the_pool_lives_on(void **state) {
    (void)state;
    moe_compile_pool *pool;
    moe_compiled compiled;
    int64_t ticket;
    char good[] = "extern \"C\" __global__ void k() {}\n";
    assert_int_equal(moe_compile_pool_open(1, 1, &pool), MOE_OK);
    char *text = endless();
    moe_source source = source_of(text);
    assert_int_equal(moe_compile_pool_submit(pool, &source, "sm_80", 7), MOE_OK);
    assert_int_equal(moe_compile_pool_take(pool, &ticket, &compiled), MOE_OK);
    assert_int_equal(ticket, 7);
    assert_int_equal(compiled.outcome, MOE_OUTCOME_TIMEOUT);
    assert_non_null(strstr(compiled.reason, "did not finish in 1 s"));
    assert_string_equal(compiled.log, "");
    moe_compiled_free(&compiled);
    source = source_of(good);
    assert_int_equal(moe_compile_pool_submit(pool, &source, "sm_80", 8), MOE_OK);
    assert_int_equal(moe_compile_pool_take(pool, &ticket, &compiled), MOE_OK);
    assert_int_equal(compiled.outcome, MOE_OUTCOME_OK);
    moe_compiled_free(&compiled);
    moe_compile_pool_close(pool);
    free(text);
}

/* The kernel kills a process that passes its limit of processor time, as it would on a fault. */
static void test_a_killed_compiler_is_a_failed_compile(void **state) {
    (void)state;
    moe_compile_pool *pool;
    moe_compiled compiled;
    int64_t ticket;
    char *text = endless();
    struct rlimit before, one_second;
    assert_int_equal(getrlimit(RLIMIT_CPU, &before), 0);
    one_second = (struct rlimit){.rlim_cur = 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_CPU, &one_second), 0);
    moe_status status = moe_compile_pool_open(1, 30, &pool);
    assert_int_equal(setrlimit(RLIMIT_CPU, &before), 0);
    assert_int_equal(status, MOE_OK);
    moe_source source = source_of(text);
    assert_int_equal(moe_compile_pool_submit(pool, &source, "sm_80", 1), MOE_OK);
    assert_int_equal(moe_compile_pool_take(pool, &ticket, &compiled), MOE_OK);
    assert_int_equal(compiled.outcome, MOE_OUTCOME_COMPILE_FAILED);
    assert_non_null(strstr(compiled.reason, "the compiler died"));
    moe_compiled_free(&compiled);
    moe_compile_pool_close(pool);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_equal_those_of_a_direct_compile),
        cmocka_unit_test(test_a_hang_is_a_timeout_and_the_pool_lives_on),
        cmocka_unit_test(test_a_killed_compiler_is_a_failed_compile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
