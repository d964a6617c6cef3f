/* label: sim */
/* test_half.c - f16 and bf16 arithmetic, alone and in pairs, against quad precision. */
#include "exact_ops.h"
#include "opcode.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define OPCODE OPCODE_FUNCTION
#include "half.def"
#undef OPCODE

static const opcode_case cases[] = {
#define OPCODE OPCODE_ROW
#include "half.def"
#undef OPCODE
};

static void half_instructions(void **state) {
    (void)state;
    opcode_check("h100", cases, sizeof cases / sizeof *cases);
    opcode_check("h100,portable=1", cases, sizeof cases / sizeof *cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(half_instructions)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
