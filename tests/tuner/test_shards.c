/* label: unit */
/* test_shards.c - a model's tensors over several files, and every lie that an index can tell. */
#include "models/shards.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/moetune-shards-XXXXXX";
static const char *const files[] = {"model.safetensors.index.json", "model.safetensors", "a", "b"};

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int clear_folder(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) remove(path_of(files[i]));
    return 0;
}

static int remove_folder(void **state) {
    return clear_folder(state) || rmdir(folder);
}

static void write_text(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* A file with one F32 tensor of one element. */
static void write_tensor(const char *file, const char *name, float value) {
    const moe_tensor tensor = {name, MOE_TENSOR_F32, 1, {1}, &value, sizeof value};
    assert_int_equal(moe_tensor_file_write(path_of(file), &tensor, 1), MOE_OK);
}

static void assert_value(moe_shards *shards, const char *name, float want) {
    const moe_tensor *tensor;
    float got;
    if (moe_shards_get(shards, name, &tensor)) fail_msg("%s: %s", name, moe_error_text());
    assert_int_equal(moe_tensor_floats(tensor, 0, 1, &got), MOE_OK);
    assert_true(got == want);
}

#define INDEX(rest) "{\"metadata\":{\"total_size\":8},\"weight_map\":{" rest "}}"

static void a_model_in_two_files(void **state) {
    (void)state;
    moe_shards *shards;
    write_text(files[0], INDEX("\"x\":\"a\",\"y\":\"b\""));
    write_tensor("a", "x", 1);
    write_tensor("b", "y", 2);
    const char *const ways[] = {folder, path_of(files[0])};
    for (int i = 0; i < 2; i++) {
        if (moe_shards_open(ways[i], &shards)) fail_msg("%s", moe_error_text());
        assert_true(moe_shards_has(shards, "x"));
        assert_false(moe_shards_has(shards, "z"));
        assert_value(shards, "y", 2);
        assert_value(shards, "x", 1);
        assert_value(shards, "y", 2);
        assert_non_null(moe_shards_name(shards, 1));
        assert_null(moe_shards_name(shards, 2));
        const moe_tensor *none;
        assert_int_equal(moe_shards_get(shards, "z", &none), MOE_E_NOT_FOUND);
        assert_non_null(strstr(moe_error_text(), "no tensor 'z'"));
        moe_shards_close(shards);
    }
}

static void a_model_in_one_file(void **state) {
    (void)state;
    moe_shards *shards;
    write_tensor("model.safetensors", "x", 3);
    const char *const ways[] = {folder, path_of("model.safetensors")};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(moe_shards_open(ways[i], &shards), MOE_OK);
        assert_value(shards, "x", 3);
        assert_false(moe_shards_has(shards, "y"));
        assert_string_equal(moe_shards_name(shards, 0), "x");
        assert_null(moe_shards_name(shards, 1));
        moe_shards_close(shards);
    }
}

static void every_lie_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *index, *says;
    } lies[] = {
        {"", "not JSON"},
        {"[]", "not a JSON object"},
        {"{}", "no 'weight_map'"},
        {"{\"weight_map\":[]}", "no 'weight_map'"},
        {INDEX(""), "no 'weight_map'"},
        {INDEX("\"x\":1"), "'x' is in something"},
        {INDEX("\"x\":\"\""), "no file of its folder"},
        {INDEX("\"x\":\"../a\""), "file ../a"},
        {INDEX("\"x\":\"/etc/passwd\""), "file /etc/passwd"},
        {INDEX("\"x\":\"..\""), "no file of its folder"},
        {INDEX("\"x\":\"a\\nb\""), "file a?b"},
        {INDEX("\"x\":\"a\",\"x\":\"b\""), "duplicate"},
    };
    moe_shards *shards = NULL;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        write_text(files[0], lies[i].index);
        assert_int_equal(moe_shards_open(folder, &shards), MOE_E_CORRUPT);
        assert_null(shards);
        if (!strstr(moe_error_text(), lies[i].says) || !strstr(moe_error_text(), files[0]))
            fail_msg("'%s' does not say '%s'", moe_error_text(), lies[i].says);
        assert_int_equal(moe_shards_check(lies[i].index, strlen(lies[i].index)), MOE_E_CORRUPT);
    }
}

static void files_that_do_not_fit_their_index(void **state) {
    (void)state;
    moe_shards *shards;
    const moe_tensor *tensor;
    write_text(files[0], INDEX("\"x\":\"a\",\"y\":\"b\",\"z\":\"c\",\"w\":\"a\""));
    write_tensor("a", "x", 1);
    write_text("b", "nonsense that is long enough");
    assert_int_equal(moe_shards_open(folder, &shards), MOE_OK);
    assert_value(shards, "x", 1);
    assert_int_equal(moe_shards_get(shards, "w", &tensor), MOE_E_CORRUPT);
    assert_non_null(strstr(moe_error_text(), "'w' should be in a, but is not"));
    assert_int_equal(moe_shards_get(shards, "y", &tensor), MOE_E_CORRUPT);
    assert_non_null(strstr(moe_error_text(), "/b: "));
    assert_int_equal(moe_shards_get(shards, "z", &tensor), MOE_E_NOT_FOUND);
    assert_non_null(strstr(moe_error_text(), "/c: "));
    moe_shards_close(shards);
}

static void paths_that_are_none(void **state) {
    (void)state;
    moe_shards *shards;
    assert_int_equal(moe_shards_open("/nowhere/model.safetensors", &shards), MOE_E_NOT_FOUND);
    assert_int_equal(moe_shards_open("/nowhere/index.json", &shards), MOE_E_NOT_FOUND);
    assert_int_equal(moe_shards_open(folder, &shards), MOE_E_NOT_FOUND);
    assert_non_null(strstr(moe_error_text(), "no model.safetensors.index.json or"));
    moe_shards_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_model_in_two_files, clear_folder),
        cmocka_unit_test_teardown(a_model_in_one_file, clear_folder),
        cmocka_unit_test_teardown(every_lie_is_refused, clear_folder),
        cmocka_unit_test_teardown(files_that_do_not_fit_their_index, clear_folder),
        cmocka_unit_test_teardown(paths_that_are_none, clear_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
