/* label: sim
 * test_decode_sm90.c - the GEMM for few rows an expert, of sm_90a; see decode_case.h. MOE_SWEEP=N
 * checks N random configs and N orders of warps instead of a few. */
#include "decode_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static decode_subject subject = {"decode_gemm_sm90", "sim:h100", 3};

int main(void) {
    const struct CMUnitTest tests[] = {DECODE_TESTS(subject)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
