/* label: sim */
/* test_simulate.c - the command `moetune simulate`: output, files, exit statuses. */
#include "nvrtc_for_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/moetune-simulate-XXXXXX";
static char output[65536]; /* of the last command, both streams */

static const char saxpy[] =
    "extern \"C\" __global__ void saxpy(float a, const float *x, float *y, int n)\n"
    "{\n"
    "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < n) y[i] += a * x[i];\n"
    "}\n"
    "struct both { const int *in; int *out; short k; };\n"
    "extern \"C\" __global__ void scale(both b)\n"
    "{\n"
    "    b.out[threadIdx.x] = b.in[threadIdx.x] * b.k;\n"
    "}\n";

/* Runs "moetune simulate ARGUMENTS" in the folder; its exit status. */
static int simulate(const char *arguments) {
    const char *binary = getenv("MOETUNE_BINARY");
    char command[1024];
    FILE *pipe;
    int status;

    if (!binary) fail_msg("MOETUNE_BINARY does not name the command; run by ctest");
    snprintf(command, sizeof command, "cd %s && %s simulate %s 2>&1", folder, binary, arguments);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = 0;
    status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void says(const char *text) {
    if (!strstr(output, text)) fail_msg("no '%s' in: %s", text, output);
}

static void write_file(const char *name, const void *data, size_t size) {
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    write_file("saxpy.cu", saxpy, sizeof saxpy - 1);
    return 0;
}

static int tear_down(void **state) {
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void a_clean_kernel_reports_its_work(void **state) {
    (void)state;
    assert_int_equal(simulate("saxpy.cu --entry saxpy --grid 4 --block 256 --arg f32:2 --arg "
                              "buf:f32:1000:rand:5 --arg buf:f32:1000:zero --arg i32:1000"), 0);
    says("warp instructions in 32 warps of 4 blocks");
    says("us on sim:h100");
    says("saxpy.cu:4");
    says("arg 2: f32[1000]");
}

static void files_go_in_and_out(void **state) {
    float x[64], y[64];
    char *text, path[256];

    (void)state;
    for (int i = 0; i < 64; i++) x[i] = (float)i, y[i] = 100.0f;
    write_file("x.bin", x, sizeof x);
    write_file("y.bin", y, sizeof y);
    assert_int_equal(simulate("saxpy.cu --entry saxpy --block 64 --arch sm_80 --seed 3 "
                              "--arg f32:0.5 --arg buf:f32:64:x.bin "
                              "--arg 'buf:f32:64:y.bin>z.bin' --arg i32:64"),
                     0);
    says("sim:a100");
    says("arg 2: f32[64] 100 100.5 101");
    snprintf(path, sizeof path, "%s/z.bin", folder);
    text = text_file(path);
    for (int i = 0; i < 64; i++) {
        float z;
        memcpy(&z, text + 4 * i, 4);
        assert_true(z == 100.0f + 0.5f * (float)i);
    }
    free(text);
}

static void a_struct_is_given_by_its_members(void **state) {
    (void)state;
    assert_int_equal(simulate("saxpy.cu --entry scale --block 32 --arg buf:i32:32:rand --arg "
                              "buf:i32:32 --arg i16:-3"), 0);
    says("arg 1: i32[32] -");
}

static void a_bug_is_exit_status_1_and_names_the_line(void **state) {
    (void)state;
    assert_int_equal(simulate("saxpy.cu --entry saxpy --grid 4 --block 256 --arg f32:2 --arg "
                              "buf:f32:1000:rand --arg buf:f32:1000:zero --arg i32:1001"), 1);
    says("out of bounds");
    says("saxpy.cu:4");
    assert_int_equal(simulate("saxpy.cu --entry saxpy --block 32 --arg f32:2 --arg "
                              "buf:f32:32:rand --arg buf:f32:32 --arg i32:32"), 1);
    says("nobody wrote");
}

#define UNWRITTEN                                                                                  \
    "saxpy.cu --entry saxpy --block 32 --arg f32:2 --arg buf:f32:32:rand --arg buf:f32:32 "        \
    "--arg i32:32 "

static void a_device_takes_its_options(void **state) {
    (void)state;
    assert_int_equal(simulate(UNWRITTEN "--device sim:a100,seed=1"), 1);
    says("nobody wrote");
    assert_int_equal(simulate(UNWRITTEN "--device sim:a100,seed=1,checks=0"), 0);
    says("us on sim:a100");
    assert_int_equal(simulate(UNWRITTEN "--device sim:a100,speed=1"), 2);
    says("--device: device option 'speed=1': use seed=N");
}

static void json_is_one_object(void **state) {
    (void)state;
    assert_int_equal(simulate("saxpy.cu --entry scale --json --arg buf:i32:32:rand "
                              "--arg buf:i32:32 --arg i16:2"), 0);
    assert_int_equal(output[0], '{');
    says("\"timer\": \"model\"");
    says("\"instructions\": ");
}

static void misuse_is_exit_status_2(void **state) {
    static const char *const wrong[] = {
        "", "saxpy.cu", "saxpy.cu --entry nothing", "saxpy.cu --entry saxpy --grid x",
        "saxpy.cu --entry saxpy --grid 1,2,3,4", "saxpy.cu --entry saxpy --arg f32:2",
        "saxpy.cu --entry saxpy --arg f99:2", "saxpy.cu --entry saxpy --arg buf:f32",
        "saxpy.cu --entry saxpy --arg buf:f32:x", "saxpy.cu --entry saxpy --arg tmap:1",
        "saxpy.cu --entry saxpy --arg i32:1.5", "saxpy.cu --device sim:z80 --entry saxpy",
        "saxpy.cu --entry scale --block 2000 --arg buf:i32:1 --arg buf:i32:1 --arg i16:1",
        "saxpy.cu other.cu", "saxpy.cu --nonsense",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (simulate(wrong[i]) != 2) fail_msg("moetune simulate %s: %s", wrong[i], output);
}

static void what_is_missing_is_exit_status_3(void **state) {
    (void)state;
    assert_int_equal(simulate("nowhere.cu --entry k"), 3);
    says("nowhere.cu");
    assert_int_equal(simulate("saxpy.cu --entry scale --arg buf:i32:32:nowhere.bin "
                              "--arg buf:i32:32 --arg i16:2"), 3);
    says("nowhere.bin");
}

static void what_does_not_compile_is_exit_status_1(void **state) {
    (void)state;
    write_file("bad.cu", "__global__ void k() { oops; }\n", 30);
    assert_int_equal(simulate("bad.cu --entry k"), 1);
    says("bad.cu");
    says("oops");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_kernel_reports_its_work),
        cmocka_unit_test(files_go_in_and_out),
        cmocka_unit_test(a_struct_is_given_by_its_members),
        cmocka_unit_test(a_bug_is_exit_status_1_and_names_the_line),
        cmocka_unit_test(a_device_takes_its_options),
        cmocka_unit_test(json_is_one_object),
        cmocka_unit_test(misuse_is_exit_status_2),
        cmocka_unit_test(what_is_missing_is_exit_status_3),
        cmocka_unit_test(what_does_not_compile_is_exit_status_1),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
