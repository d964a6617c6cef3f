/* label: gpu
 * test_instructions.c - the micro-tests of instructions on a GPU, against the simulated one.
 * MOE_GOLDEN_UPDATE=1 writes what the GPU computed to golden/<arch>/. */
#include "instruction.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static moe_device *gpu, *simulated;

static int failures(const char *path) {
    uint32_t real[INSTRUCTION_WORDS], model[INSTRUCTION_WORDS];
    const char *arch = moe_device_facts(gpu)->arch;
    instruction i;
    int at = -1;
    instruction_read(path, &i);
    bool ran = !instruction_run(gpu, &i, real);
    if (!ran) print_error("%s on the GPU: %s\n", i.name, moe_error_text());
    if (ran && i.twin) at = instruction_compare(&i, real, real + i.out / 2, i.out / 2);
    if (at >= 0)
        print_error("%s: on the GPU word %d is %08x, its twin %08x\n", i.name, at, real[at],
                    real[i.out / 2 + (unsigned)at]);
    if (ran && getenv("MOE_GOLDEN_UPDATE")) instruction_write_golden(&i, arch, real);
    bool agrees = ran && !instruction_run(simulated, &i, model);
    int differs = agrees ? instruction_compare(&i, real, model, i.out) : -1;
    if (ran && !agrees) print_error("%s simulated: %s\n", i.name, moe_error_text());
    if (differs >= 0)
        print_error("%s: word %d is %08x on the GPU, %08x simulated\n", i.name, differs,
                    real[differs], model[differs]);
    print_message("  %-24s %s\n", i.name, agrees && at < 0 && differs < 0 ? "agrees" : "DIFFERS");
    instruction_free(&i);
    return !agrees || at >= 0 || differs >= 0;
}

static void every_instruction(void **state) {
    glob_t files;
    int failed = 0;
    (void)state;
    assert_int_equal(glob("tests/gpu/golden/*.cu", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) failed += failures(files.gl_pathv[i]);
    globfree(&files);
    assert_int_equal(failed, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_instruction)};
    if (moe_device_open("cuda:0", &gpu) || moe_device_facts(gpu)->sm != 90) {
        fprintf(stderr, "skipped: needs an sm_90 GPU; %s\n", moe_error_text());
        return 77;
    }
    if (moe_device_open("sim:h100", &simulated)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    moe_device_close(simulated);
    moe_device_close(gpu);
    return failed;
}
