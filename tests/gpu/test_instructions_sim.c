/* label: sim
 * test_instructions_sim.c - the micro-tests of instructions on the simulated H100. */
#include "instruction.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Runs clean, agrees with its twin, and with a GPU where that is on file. */
static int failures(moe_device *device, const char *path) {
    uint32_t result[INSTRUCTION_WORDS], golden[INSTRUCTION_WORDS];
    instruction i;
    instruction_read(path, &i);
    moe_status status = instruction_run(device, &i, result);
    int failed = status != MOE_OK, at = -1;
    if (failed) print_error("%s: %s\n", i.name, moe_error_text());
    if (!failed && i.twin) at = instruction_compare(&i, result, result + i.out / 2, i.out / 2);
    if (at >= 0)
        print_error("%s: word %d is %08x, its twin %08x\n", i.name, at, result[at],
                    result[i.out / 2 + (unsigned)at]);
    failed |= at >= 0;
    if (!failed && instruction_golden(&i, "sm_90a", golden)) {
        at = instruction_compare(&i, result, golden, i.out);
        if (at >= 0)
            print_error("%s: word %d is %08x, on a GPU %08x\n", i.name, at, result[at],
                        golden[at]);
        failed |= at >= 0;
    }
    instruction_free(&i);
    return failed;
}

static void every_instruction(void **state) {
    moe_device *device;
    glob_t files;
    int failed = 0;
    (void)state;
    assert_int_equal(moe_device_open("sim:h100", &device), MOE_OK);
    assert_int_equal(glob("tests/gpu/golden/*.cu", 0, NULL, &files), 0);
    assert_true(files.gl_pathc >= 40);
    for (size_t i = 0; i < files.gl_pathc; i++) failed += failures(device, files.gl_pathv[i]);
    globfree(&files);
    moe_device_close(device);
    assert_int_equal(failed, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_instruction)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
