/* label: compile
 * test_compile_hopper.c - default configs compile for Hopper; see compile_case.h. */
#include "compile_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void sm_90a(void **state) {
    (void)state;
    compile_case_chip(COMPILE_SM_90A);
}

/* Prefill is where registers are short: all of Hopper's GEMM defaults of large T, and a K of 8
 * stages, which compilers would unroll whole. */
static void sm_90a_prefill(void **state) {
    static const char *const wide[] = {
        "d=1536 f=512 e=64 k=6 shared=1024", "d=2048 f=768 e=128 k=8", "d=4096 f=14336 e=8 k=2",
    };
    (void)state;
    fixture f;
    const moe_facts facts = compile_case_facts(COMPILE_SM_90A);
    fixture_open(&f, "null");
    for (size_t i = 0; i < 2 * sizeof wide / sizeof *wide; i++) {
        moe_layer layer;
        CHECK(moe_layer_parse(wide[i / 2], &layer));
        moe_op op = moe_op_make(i % 2 ? MOE_OP_gemm_down : MOE_OP_gemm_up, &layer, 4096,
                                MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
        compile_case_op(&f, moe_gen_find(f.gen, "grouped_gemm_sm90"), &op, &facts);
    }
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sm_90a),
        cmocka_unit_test(sm_90a_prefill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
