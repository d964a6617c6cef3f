/* label: compile
 * test_compile_blackwell.c - default configs compile for Blackwell; see compile_case.h. */
#include "compile_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void sm_100a(void **state) {
    (void)state;
    compile_case_chip(COMPILE_SM_100A);
}

static void sm_120a(void **state) {
    (void)state;
    compile_case_chip(COMPILE_SM_120A);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sm_100a),
        cmocka_unit_test(sm_120a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
