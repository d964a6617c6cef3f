/* label: compile
 * test_compile_ampere.c - default configs compile for Ampere; see compile_case.h. */
#include "compile_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void sm_80(void **state) {
    (void)state;
    compile_case_chip(COMPILE_SM_80);
}

static void sm_86(void **state) {
    (void)state;
    compile_case_chip(COMPILE_SM_86);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sm_80),
        cmocka_unit_test(sm_86),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
