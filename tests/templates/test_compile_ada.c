/* label: compile
 * test_compile_ada.c - default configs compile for Ada; see compile_case.h. */
#include "compile_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void sm_89(void **state) {
    (void)state;
    compile_case_chip(COMPILE_SM_89);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sm_89),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
