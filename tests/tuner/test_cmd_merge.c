/* label: unit */
/* test_cmd_merge.c - moetune merge: experts of a file averaged into one, and files that cannot
 * be. */
#include "command/merge.h"
#include "core/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { E = 3, D = 40, F = 8 };

static char folder[] = "/tmp/moetune-merge-XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static int run(const char *options, char *text, size_t size) {
    char command[1024];
    snprintf(command, sizeof command, "cd %s && %s merge %s 2>&1", folder, getenv("MOETUNE_BINARY"),
             options);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    text[fread(text, 1, size - 1, pipe)] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Expert j has j + i / 8 in element i. The name before the others' puts them at an odd address. */
static void write_experts(const char *name, moe_tensor_type down_type, int64_t down_experts) {
    static float up[E * F * D];
    static unsigned short down[E * D * F];
    static const char odd[3] = {0};
    char path[128];
    for (int i = 0; i < E * F * D; i++) up[i] = (float)(i / (F * D)) + (float)(i % (F * D)) / 8;
    for (int i = 0; i < E * D * F; i++) moe_store(MOE_BF16, down, i, i / (D * F));
    const moe_tensor tensors[] = {
        {"experts.up", MOE_TENSOR_F32, 3, {E, F, D}, up, sizeof up},
        {"experts.down", down_type, 3, {down_experts, E * D / down_experts, F}, down, sizeof down},
        {"router.weight", MOE_TENSOR_U8, 1, {3}, odd, sizeof odd},
    };
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(moe_tensor_file_write(path, tensors, 3), MOE_OK);
}

/* 1/2 1/4 1/4 of experts 0 1 2: 3/4. */
static void experts_become_one(void **state) {
    char text[1024], path[128];
    moe_tensor_file *file;
    const moe_tensor *up, *down;
    (void)state;
    write_experts("in", MOE_TENSOR_BF16, E);
    int status = run("--weights in --mix 2,1,1 -o out", text, sizeof text);
    if (status) fail_msg("exit status %d: %s", status, text);
    snprintf(path, sizeof path, "%s/out", folder);
    assert_int_equal(moe_tensor_file_open(path, &file), MOE_OK);
    assert_int_equal(file->tensors, 2);
    assert_int_equal(moe_tensor_get(file, "experts.up", MOE_TENSOR_F32, 3,
                                    (const int64_t[]){1, F, D}, &up), MOE_OK);
    assert_int_equal(moe_tensor_get(file, "experts.down", MOE_TENSOR_BF16, 3,
                                    (const int64_t[]){1, D, F}, &down), MOE_OK);
    for (int i = 0; i < F * D; i++) {
        assert_true(moe_load(MOE_F32, up->data, i) == 0.75 + i / 8.);
        assert_true(moe_load(MOE_BF16, down->data, i) == 0.75);
    }
    moe_tensor_file_close(file);
}

static void files_that_have_no_average(void **state) {
    static const struct {
        const char *options;
        int status;
        const char *says;
    } cases[] = {
        {"--weights in --mix 0.5,0.5 -o out", 2, "the mix has 2 weights, and 'experts."},
        {"--weights in --mix 1,x,1 -o out", 2, "--mix: 'x'"},
        {"--weights in --mix 1,1, -o out", 2, "behind the last ','"},
        {"--weights in --mix '' -o out", 2, "0.5,0.3,0.2"},
        {"--weights in --mix 1,-1,1 -o out", 2, "weight 1 of the mix is -1"},
        {"--weights in --mix 0,0,0 -o out", 2, "add up to 0"},
        {"--weights in --mix 1,1,1", 2, "--output are needed"},
        {"--weights nowhere --mix 1 -o out", 3, "nowhere"},
        {"--weights uneven --mix 1,1,1 -o out", 2, "'experts.down' is of 2 experts"},
        {"--weights packed --mix 1,1,1 -o out", 2, "I16"},
        {"--weights other --mix 1 -o out", 3, "no tensor called experts.*"},
        {"--weights in --mix 1,1,1 -o /nowhere/out", 3, "/nowhere/out"},
    };
    const moe_tensor x = {"x", MOE_TENSOR_U8, 1, {1}, "", 1};
    char text[2048], path[128];
    (void)state;
    write_experts("in", MOE_TENSOR_BF16, E);
    write_experts("uneven", MOE_TENSOR_BF16, 2);
    write_experts("packed", MOE_TENSOR_I16, E);
    snprintf(path, sizeof path, "%s/other", folder);
    assert_int_equal(moe_tensor_file_write(path, &x, 1), MOE_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = run(cases[i].options, text, sizeof text);
        if (status != cases[i].status || !strstr(text, cases[i].says))
            fail_msg("'%s': exit status %d, should be %d with '%s': %s", cases[i].options, status,
                     cases[i].status, cases[i].says, text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(experts_become_one),
        cmocka_unit_test(files_that_have_no_average),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
