/* label: sim
 * test_gemv.c - GEMMs row by row; see decode_case.h. MOE_SWEEP=N checks N random configs and N
 * orders of warps instead of a few. */
#include "decode_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static decode_subject subject = {"gemv", "sim:a100", 2};

static void any_dtype(void **state) {
    fixture f;
    (void)state;
    fixture_open(&f, subject.device);
    decode_case_check(&f, &subject, "d=200 f=176 e=6 k=2 bias=up,down x=f32", 7, MOE_ROUTING_ZIPF);
    decode_case_check(&f, &subject, "d=72 f=40 e=3 k=2 act=gelu x=f32", 1, MOE_ROUTING_UNIFORM);
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {DECODE_TESTS(subject), cmocka_unit_test(any_dtype)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
