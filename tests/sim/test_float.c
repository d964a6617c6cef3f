/* label: sim */
/* test_float.c - f32 and f64 arithmetic, comparison and approximation against quad precision. */
#include "exact_ops.h"
#include "opcode.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* Correct to f32: the root in double precision cannot lie near the middle of two f32 numbers. */
static uint64_t root(uint64_t a) {
    return exact_round(F32, sqrt((double)exact_of(F32, a)), RN);
}

static uint64_t signed_as_product(uint64_t magnitude, uint64_t a, uint64_t b) {
    return exact_nan(F32, magnitude) ? magnitude : magnitude | ((a ^ b) & 0x80000000);
}

#define OPCODE OPCODE_FUNCTION
#include "float.def"
#undef OPCODE

static const opcode_case cases[] = {
#define OPCODE OPCODE_ROW
#include "float.def"
#undef OPCODE
};

static void float_instructions(void **state) {
    (void)state;
    opcode_check("h100", cases, sizeof cases / sizeof *cases);
    opcode_check("h100,portable=1", cases, sizeof cases / sizeof *cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(float_instructions)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
