/* label: unit - a function or variable is declared in one header: a second declaration would go its
 * own way. */
#include "house.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMES = 8000, NAME = 96 };

typedef struct declared {
    char name[NAME], header[HOUSE_PATH];
} declared;

typedef struct names {
    declared *at;
    int count;
} names;

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Blanks comments, strings of braces and lines of the preprocessor, so that what is left at the
 * left margin is declarations. */
static void blank(char *text) {
    for (char *at = text; *at; at++) {
        if (at[0] == '/' && at[1] == '*')
            for (; *at && !(at[0] == '*' && at[1] == '/'); at++)
                if (*at != '\n') *at = ' ';
        if (*at != '#' || (at > text && at[-1] != '\n')) continue;
        for (; *at && *at != '\n'; at++)
            if (at[0] == '\\' && at[1] == '\n') at[0] = at[1] = ' ';
            else *at = ' ';
        if (!*at) return;
    }
}

/* The name that a line at the left margin declares: in front of the first '(' of a prototype, or of
 * the ';' or '[' of an extern variable. False where it declares none. */
static bool name_of(const char *line, char *name) {
    static const char macro[] = "SIM_EXEC("; /* joins the name in it with the instruction set's */
    const char *end = line + strcspn(line, "\n;"), *stop = line + strcspn(line, "(\n;");
    bool variable = !strncmp(line, "extern ", 7);
    if (!is_name(*line) || !strncmp(line, "static ", 7) || !strncmp(line, "typedef ", 8))
        return false;
    if (variable) stop = line + strcspn(line, "[\n;");
    else if (*stop != '(' || memchr(line, '{', (size_t)(end - line))) return false;
    while (stop > line && !is_name(stop[-1])) stop--;
    const char *joined = strstr(line, macro);
    if (joined && joined < end) {
        stop = joined + strlen(macro);
        stop += strcspn(stop, ")");
    }
    const char *start = stop;
    while (start > line && is_name(start[-1])) start--;
    if (start == line || stop - start >= NAME) return false; /* a macro's call */
    snprintf(name, NAME, "%.*s", (int)(stop - start), start);
    return true;
}

static void read_names(names *all, const char *header, char *text) {
    char name[NAME];
    blank(text);
    for (const char *line = text; *line;) {
        if (name_of(line, name)) {
            assert_true(all->count < MAX_NAMES);
            declared *d = &all->at[all->count++];
            strcpy(d->name, name);
            snprintf(d->header, sizeof d->header, "%s", header);
        }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
}

static int compare(const void *a, const void *b) {
    return strcmp(((const declared *)a)->name, ((const declared *)b)->name);
}

static int count_twice(names *all) {
    int twice = 0;
    qsort(all->at, (size_t)all->count, sizeof *all->at, compare);
    for (int i = 1; i < all->count; i++) {
        if (strcmp(all->at[i].name, all->at[i - 1].name)) continue;
        print_message("%s is declared in %s and in %s\n", all->at[i].name, all->at[i - 1].header,
                      all->at[i].header);
        twice++;
    }
    return twice;
}

static void test_headers(void **unused) {
    (void)unused;
    static const char *const tops[] = {"include", "runtime", "gen", "sim", "reference", "tuner"};
    names all = {.at = calloc(MAX_NAMES, sizeof *all.at)};
    house_files files = {0};
    assert_non_null(all.at);
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) house_find(&files, tops[i], "h");
    for (int i = 0; i < files.count; i++) {
        char *text = house_read(files.path[i]);
        read_names(&all, files.path[i], text);
        free(text);
    }
    house_forget(&files);
    print_message("%d names\n", all.count);
    assert_true(all.count > 400);
    assert_int_equal(count_twice(&all), 0);
    free(all.at);
}

static void test_check(void **unused) {
    (void)unused;
    names all = {.at = calloc(MAX_NAMES, sizeof *all.at)};
    char first[] = "/* int f(void); */\n#define F(x) \\\nint f(x)\nint f(int a,\n      int b);\n"
                   "extern const char *const list[];\nstatic inline int g(void) {\n"
                   "    f(1, 2);\n}\ntypedef int (*f_type)(void);\nstruct h;\n"
                   "MOE_API const char *moe_text(void);\n";
    char second[] = "const char *moe_text(void);\nextern const char *const list[3];\n"
                    "int other(f);\nvoid SIM_EXEC(load)(int a,\n                    int b);\n";
    assert_non_null(all.at);
    read_names(&all, "a.h", first);
    assert_int_equal(all.count, 3);
    read_names(&all, "b.h", second);
    assert_int_equal(all.count, 7);
    print_message("the following is expected:\n");
    assert_int_equal(count_twice(&all), 2);
    free(all.at);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_headers),
                                       cmocka_unit_test(test_check)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
