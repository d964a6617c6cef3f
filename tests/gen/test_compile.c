/* label: compile */
/* test_compile.c - what NVRTC says of a rendered source names the template's line; and the example
 * of templates/README.md is a template that works. */
#include "compile/compile.h"
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static folder f;

static int make(void **state) {
    (void)state;
    folder_make(&f);
    return 0;
}

static int clean(void **state) {
    (void)state;
    folder_remove(&f);
    return 0;
}

/* Renders x for an op and compiles it; skips the test where there is no NVRTC. */
static moe_compiled compile(const char *name, const char *op_text, bool plain) {
    moe_gen *gen;
    moe_facts facts = test_facts();
    moe_op op = test_op(op_text);
    moe_config config = test_config("");
    moe_source source;
    moe_compiled compiled;
    CHECK(moe_gen_open(f.path, &gen));
    CHECK(moe_render(moe_gen_find(gen, name), &op, &facts, &config, plain, &source));
    moe_status status = moe_compile(&source, "sm_80", &compiled);
    moe_source_free(&source);
    moe_gen_close(gen);
    if (status == MOE_E_LIBRARY) skip();
    CHECK(status);
    return compiled;
}

#define KERNEL "extern \"C\" __global__ void $(moe.symbol())(int *p) {\n"

static void test_positions(void **state) {
    static const struct {
        const char *body, *position;
    } rows[] = {
        {"\n\nint a = oops;\n" KERNEL "}\n", "templates/x.cu(3)"},
        {"% for i = 1, 3 do\nint a$(i);\n% end\nint a = oops;\n" KERNEL "}\n", "templates/x.cu(4)"},
        {"$('\\n\\n\\n')\nint a = oops;\n" KERNEL "}\n", "templates/x.cu(2)"},
        {"% for i = 1, 2 do\n$(i == 2 and 'int a = oops;' or '')$('\\n')\n% end\n" KERNEL "}\n",
         "templates/x.cu(2)"},
        {"// one\n% moe.include('h.cuh')\n" KERNEL "}\n", "templates/include/h.cuh(2)"},
        {"% moe.include('fine.cuh')\nint a = oops;\n" KERNEL "}\n", "templates/x.cu(2)"},
        {"$(moe.include('fine.cuh'))\nint a = oops;\n" KERNEL "}\n", "templates/x.cu(2)"},
        {"% if false then\na\nb\n% end\n\nint a = oops;\n" KERNEL "}\n", "templates/x.cu(6)"},
        {"% local function twice(s)\nint $(s), $(s)2 = oops;\n% end\n% twice('a')\n" KERNEL "}\n",
         "templates/x.cu(2)"},
    };
    (void)state;
    folder_write_lua(&f, "x", "", "");
    folder_write(&f, "include/h.cuh", "// fine\nint h = oops;\n");
    folder_write(&f, "include/fine.cuh", "// fine\nint fine;\n// end\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        folder_write(&f, "x.cu", rows[i].body);
        moe_compiled compiled = compile("x", "combine t=1 d=8 k=1", false);
        assert_int_equal(compiled.outcome, MOE_OUTCOME_COMPILE_FAILED);
        if (strncmp(compiled.reason, rows[i].position, strlen(rows[i].position)))
            fail_msg("'%s' is not blamed on %s", compiled.reason, rows[i].position);
        moe_compiled_free(&compiled);
    }
}

/* Machine code of a template line carries that line, for profilers and the simulated GPU. */
static void test_loc(void **state) {
    (void)state;
    folder_write_lua(&f, "x", "", "");
    folder_write(&f, "x.cu", "% if c.n == 1 then\n" KERNEL "% end\n// comment\n    *p = 42;\n}\n");
    moe_compiled compiled = compile("x", "combine t=1 d=8 k=1", false);
    assert_int_equal(compiled.outcome, MOE_OUTCOME_OK);
    const char *store = strstr(compiled.ptx, "st.global"), *loc = NULL;
    assert_non_null(store);
    for (const char *at = compiled.ptx; (at = strstr(at, ".loc")) && at < store; at++) loc = at;
    assert_non_null(loc);
    int file, line;
    assert_int_equal(sscanf(loc, ".loc %d %d", &file, &line), 2);
    assert_int_equal(line, 5);
    assert_non_null(strstr(compiled.ptx, "templates/x.cu\""));
    moe_compiled_free(&compiled);
}

/* The source of the README's example: the indented block behind a heading such as "`scale.cu`:". */
static char *read_example(const char *heading) {
    char line[256];
    char *text = calloc(1, 8192);
    FILE *stream = fopen("templates/README.md", "r");
    bool inside = false;
    assert_non_null(stream);
    assert_non_null(text);
    while (fgets(line, sizeof line, stream)) {
        if (!strncmp(line, heading, strlen(heading))) inside = true;
        else if (inside && !strncmp(line, "    ", 4)) strcat(text, line + 4);
        else if (line[0] != '\n') inside = false;
    }
    fclose(stream);
    assert_true(*text);
    return text;
}

static void test_readme(void **state) {
    folder own = f;
    char types[256], here[256];
    char *lua = read_example("`scale.lua`:"), *cu = read_example("`scale.cu`:");
    (void)state;
    assert_non_null(getcwd(here, sizeof here - 40));
    strcat(here, "/templates/include/types.cuh");
    snprintf(types, sizeof types, "%s/include/types.cuh", own.path);
    assert_int_equal(symlink(here, types), 0);
    folder_write(&own, "scale.lua", lua);
    folder_write(&own, "scale.cu", cu);
    static const char *const ops[] = {"combine t=9 d=64 k=2", "combine t=9 d=64 k=9 x=f32"};
    for (int i = 0; i < 2; i++) {
        moe_compiled compiled = compile("scale", ops[i], false);
        if (compiled.outcome != MOE_OUTCOME_OK) fail_msg("%s", compiled.log);
        moe_compiled_free(&compiled);
    }
    free(lua);
    free(cu);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_loc),
        cmocka_unit_test(test_readme),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
