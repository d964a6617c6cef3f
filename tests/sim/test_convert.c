/* label: sim */
/* test_convert.c - every cvt between integer and float types against quad precision. */
#include "exact_ops.h"
#include "opcode.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t clamp(int64_t value, int64_t least, int64_t most) {
    return (uint64_t)(value < least ? least : value > most ? most : value);
}

/* tf32 keeps the 10 upper bits of f32's mantissa. */
static uint64_t tf32(uint64_t a, exact_mode mode) {
    return exact_round(TF32, exact_of(F32, a), mode);
}

#define OPCODE OPCODE_FUNCTION
#include "convert.def"
#undef OPCODE

static const opcode_case cases[] = {
#define OPCODE OPCODE_ROW
#include "convert.def"
#undef OPCODE
};

static void convert_instructions(void **state) {
    (void)state;
    opcode_check("h100", cases, sizeof cases / sizeof *cases);
    opcode_check("h100,portable=1", cases, sizeof cases / sizeof *cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(convert_instructions)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
