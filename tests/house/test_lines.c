/* label: unit - lines of at most 100 columns, functions of at most 60 lines. */
#include "house.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 100, FUNCTION_LINES = 60 };

static const char *const tops[] = {"include", "runtime", "gen",     "sim",   "reference", "tuner",
                                   "templates", "examples", "bench", "tests", "python",
                                   "scripts",   "cmake"};
enum { TOPS = sizeof tops / sizeof tops[0] };

/* What templates come to is as wide as their values make it; of .txt files only CMake's are
 * code. */
static bool is_free(const char *path) {
    if (strstr(path, "/golden/")) return true;
    return !strcmp(strrchr(path, '.'), ".txt") && !strstr(path, "CMakeLists");
}

/* Characters, not bytes, up to the end of the line. */
static int columns_of(const char *line) {
    int columns = 0;
    for (; *line && *line != '\n'; line++) columns += (*line & 0xc0) != 0x80;
    return columns;
}

static const char *next_line(const char *line) {
    const char *end = strchr(line, '\n');
    return end ? end + 1 : line + strlen(line);
}

static int count_long_lines(const char *path, const char *text) {
    int number = 1, wrong = 0;
    for (const char *line = text; *line; line = next_line(line), number++) {
        if (columns_of(line) <= COLUMNS) continue;
        print_message("%s:%d has %d columns\n", path, number, columns_of(line));
        wrong++;
    }
    return wrong;
}

static void find_all(house_files *files, const char *endings) {
    for (int i = 0; i < TOPS; i++) house_find(files, tops[i], endings);
}

static void test_columns(void **unused) {
    (void)unused;
    house_files files = {0};
    int wrong = 0;
    find_all(&files, "c h def lua cu cuh py cmake sh txt");
    assert_true(files.count > 700);
    for (int i = 0; i < files.count; i++) {
        if (is_free(files.path[i])) continue;
        char *text = house_read(files.path[i]);
        wrong += count_long_lines(files.path[i], text);
        free(text);
    }
    house_forget(&files);
    assert_int_equal(wrong, 0);
}

/* ---- functions */

/* Functions that may be longer: a test that is one table, or one story. */
static const char *const long_functions[] = {
    "test_answers",   /* tests/gen/test_bad_templates.c: a table of templates */
    "test_arguments", /* tests/runtime/test_run.c: every argument of every step */
    "test_package",   /* tests/runtime/test_install.c: one package after another */
    "test_bad_layers", /* tests/runtime/test_malformed.c: a table of texts */
    NULL,
};

static bool may_be_long(const char *head) {
    for (int i = 0; long_functions[i]; i++)
        if (strstr(head, long_functions[i])) return true;
    return false;
}

/* A body starts with a line that ends in '{' and ends with a line that starts with '}'; what goes
 * on from the left margin and has a parenthesis is a function's head. */
static bool opens_function(const char *line) {
    const char *end = line + strcspn(line, "\n");
    return end > line && end[-1] == '{' && *line != ' ' && *line != '#' && *line != '}' &&
           *line != '\t' && memchr(line, ')', (size_t)(end - line)) &&
           !memchr(line, '=', (size_t)(end - line));
}

static bool continues_head(const char *line) {
    const char *end = line + strcspn(line, "\n");
    return *line == ' ' && end - line > 3 && !strncmp(end - 3, ") {", 3);
}

static int count_long_functions(const char *path, const char *text) {
    const char *head = text;
    int number = 1, head_number = 1, wrong = 0;
    bool inside = false;
    for (const char *line = text; *line; line = next_line(line), number++) {
        if (!inside && *line != ' ') head = line, head_number = number;
        if (!inside) inside = opens_function(line) || (head != text && continues_head(line));
        if (!inside || *line != '}') continue;
        inside = false;
        if (number - head_number + 1 <= FUNCTION_LINES) continue;
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(head, "\n"), head);
        if (may_be_long(name)) continue;
        print_message("%s:%d: %d lines: %s\n", path, head_number, number - head_number + 1, name);
        wrong++;
    }
    return wrong;
}

static void test_functions(void **unused) {
    (void)unused;
    house_files files = {0};
    int wrong = 0;
    find_all(&files, "c h");
    for (int i = 0; i < files.count; i++) {
        char *text = house_read(files.path[i]);
        wrong += count_long_functions(files.path[i], text);
        free(text);
    }
    house_forget(&files);
    assert_int_equal(wrong, 0);
}

/* ---- the checks themselves */

static void test_check(void **unused) {
    (void)unused;
    char text[8192] = "";
    print_message("the following is expected:\n");
    snprintf(text, sizeof text, "%0100d\n%0101d\n%0*dä\n", 0, 0, 99, 0);
    assert_int_equal(count_long_lines("x.c", text), 1);
    for (int lines = 58; lines <= 60; lines++) {
        strcpy(text, "/* a */\nstatic int f(int a,\n             int b) {\n");
        for (int i = 0; i < lines - 1; i++) strcat(text, i == 5 ? "    } else {\n" : "    a++;\n");
        strcat(text, "}\nstatic const int table[] = {\n    1,\n};\n");
        assert_int_equal(count_long_functions("x.c", text), lines > 58);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_columns),
                                       cmocka_unit_test(test_functions),
                                       cmocka_unit_test(test_check)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
