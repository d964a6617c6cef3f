/* label: unit */
/* test_bad_templates.c - every mistake in a template gives one line: its place, and what to do. */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static void assert_message(const char *what, const char *message) {
    if (strncmp(moe_error_text(), message, strlen(message)))
        fail_msg("%s\n'%s'\ninstead of\n'%s'", what, moe_error_text(), message);
    assert_null(strchr(moe_error_text(), '\n'));
}

static void assert_closed(const char *what, const char *message) {
    moe_gen *gen;
    if (moe_gen_open(f.path, &gen) != MOE_E_TEMPLATE) fail_msg("%s was taken", what);
    assert_message(what, message);
}

/* Opens x, and asks for everything of it. */
static moe_status use(const char *op_text, const char *config_text) {
    moe_gen *gen;
    moe_facts facts = test_facts();
    moe_op op = test_op(op_text);
    moe_config config = test_config(config_text);
    moe_source source;
    MOE_TRY(moe_gen_open(f.path, &gen));
    moe_status status = moe_render(moe_gen_at(gen, 0), &op, &facts, &config, false, &source);
    if (!status) moe_source_free(&source);
    moe_gen_close(gen);
    return status;
}

static void assert_unusable(const char *what, const char *message) {
    if (use("combine t=1 d=8 k=1", "") != MOE_E_TEMPLATE) fail_msg("%s was taken", what);
    assert_message(what, message);
}

/* Whole .lua files. */
static void test_files(void **state) {
    static const struct {
        const char *lua, *message;
    } rows[] = {
        {"", "templates/x.lua: must end with: return moe.template{ name = \"x\", ... }"},
        {"return {}", "templates/x.lua: must end with: return moe.template{"},
        {"return 3", "templates/x.lua: must end with: return moe.template{"},
        {"\nx = 1", "templates/x.lua:2: 'x' would become global; declare it with local"},
        {"\n\nlocal y = z", "templates/x.lua:3: unknown name 'z'; declare it with local, or see"},
        {"local a = ", "templates/x.lua:1: unexpected symbol near <eof>"},
        {"\nlocal a = = 1", "templates/x.lua:2: unexpected symbol near '='"},
        {"return moe.template()", "templates/x.lua:1: template: a no value instead of a table"},
        {"return moe.template{3}", "templates/x.lua:1: template: every entry needs a name; known"},
        {"return moe.template{nane = 1, requires = 2}",
         "templates/x.lua:1: template: unknown entry 'nane'; known entries: name op arch params"},
        {"return moe.template{name = 1}", "templates/x.lua:1: template: 'name' cannot be a number"},
        {"while true do end", "templates/x.lua:1: stopped after too many instructions"},
        {"error('mine')", "templates/x.lua:1: mine"},
        {"return moe.template{name='y'}", "templates/x.lua:1: template: 'op' is missing"},
    };
    (void)state;
    folder_write(&f, "x.cu", "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        folder_write(&f, "x.lua", rows[i].lua);
        assert_closed(rows[i].lua, rows[i].message);
    }
}

/* Entries that the file itself shows to be wrong; the table stands in lines 1 to 9. */
static void test_entries(void **state) {
    static const struct {
        const char *entries, *message;
    } rows[] = {
        {"name = 'y'", "templates/x.lua: name: 'y' should be 'x', as the file"},
        {"name = 'X'", "name: 'X' should be at most 28 lower-case letters, digits and _"},
        {"op = 'gemm'", "op: not a list of ops such as {\"gemm_up\", \"gemm_down\"}"},
        {"op = {}", "op: an empty list"},
        {"op = {'combine', 1}", "op: not a list of ops"},
        {"arch = {80}", "arch: nil is not a whole number"},
        {"arch = {90, 80}", "arch: should read like {80, 120}, lowest and highest sm"},
        {"arch = {80, 90, 100}", "arch: should read like {80, 120}"},
        {"arch = {80, 'x'}", "arch: x is not a whole number"},
        {"params = {}", "params: 0 parameters; a template takes 1 to 16"},
        {"params = 3", "template: 'params' cannot be a number"},
        {"params = {n = {1}}", "params: 0 parameters"},
        {"params = {'n'}", "params: entry 1 should read like {\"bm\", {16, 32, 64}}"},
        {"params = {{'n', {1}}, {'m'}}", "params: entry 2 should read like"},
        {"params = {{'n', {}}}", "params: n: 0 values; it takes 1 to 64"},
        {"params = {{'n', {2, 1}}}", "params: n: values must ascend, but 1 follows 2"},
        {"params = {{'n', {1, 1}}}", "params: n: values must ascend, but 1 follows 1"},
        {"params = {{'n', {1.5}}}", "params: n: 1.5 is not a whole number"},
        {"params = {{'n', {'1'}}}", "params: n: 1 is not a whole number"},
        {"params = {{'n', {{}}}}", "params: n: table is not a whole number"},
        {"params = {{'N', {1}}}", "params: N: a name is lower case, shorter than 24, and not"},
        {"params = {{'e', {1}}}", "params: e: a name is lower case"},
        {"params = {{'n', {1}}, {'n', {1}}}", "params: n: comes twice"},
        {"default = 3", "template: 'default' cannot be a number"},
        {"helper = 3", "template: unknown entry 'helper'; known entries: name op arch params "
                       "max_slots supports require default launch cost lib"},
    };
    (void)state;
    folder_write(&f, "x.cu", "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char message[256];
        bool placed = !strncmp(rows[i].message, "templates/", 10);
        snprintf(message, sizeof message, "%s%s", placed ? "" : "templates/x.lua:9: ",
                 rows[i].message);
        folder_write_lua(&f, "x", "", rows[i].entries);
        assert_closed(rows[i].entries, message);
    }
}

/* What its functions answer, or do. An answer is blamed on the line of the function: 7. */
static void test_answers(void **state) {
    static const struct {
        const char *entries, *message;
    } rows[] = {
        {"supports = function() return 1 end", "x.lua:7: supports: returned a number; return true"},
        {"supports = function(p) return p.t > 1 end",
         "x.lua:7: p.t is known only to default and cost: one kernel serves every token count"},
        {"params = function() return 3 end", "x.lua:7: params: not a list"},
        {"params = function(p) return {{'n', {p.t}}} end", "x.lua:7: p.t is known only to default"},
        {"params = function(p, d) return {{'n', {d.smm}}} end", "x.lua:7: d has no 'smm'; it has"},
        {"default = function() end", "x.lua:7: default: not a table"},
        {"default = function() return {} end", "x.lua:7: default: n: nil is not a whole number"},
        {"default = function() return {n = 1, m = 2} end", "x.lua:7: default: 'm' is no parameter"},
        {"default = function() return {n = 1.5} end", "x.lua:7: default: n: 1.5 is not a whole"},
        {"require = function() end", "x.lua:7: require: returned a nil; return true, or false and"},
        {"require = function(p, c) return c.m > 0 end", "x.lua:7: c has no 'm'; it has: n"},
        {"require = function(p) return p.cache == 'cold' end", "x.lua:7: p.cache is known only to"},
        {"launch = function() end", "x.lua:7: launch: a nil instead of a table"},
        {"launch = function() return {} end", "x.lua:7: launch: 'kernels' is missing"},
        {"launch = function() return {kernels = {}} end", "x.lua:7: launch: 0 kernels; it takes 1"},
        {"launch = function() return {kernels = {}, grid = 1} end",
         "x.lua:7: launch: unknown entry 'grid'; known entries: kernels align scratch determin"},
        {"launch = function() return {kernels = {3}} end", "x.lua:7: launch: kernel: a number"},
        {"launch = function() return {kernels = {{grid = {'fixed', 1}}}} end",
         "x.lua:7: launch: kernel: 'block' is missing"},
        {"launch = function() return {kernels = {{grid = {'cubes', 1}, block = 32}}} end",
         "x.lua:7: launch: grid: 'cubes' is not known; use one of: fixed, tokens, rows, row_tiles"},
        {"launch = function() return {kernels = {{grid = {1}, block = 32}}} end",
         "x.lua:7: launch: grid: should read like {\"row_tiles\", 64, 12}"},
        {"launch = function() return {kernels = {{grid = {'fixed'}, block = 32}}} end",
         "x.lua:7: launch: grid: a rule and one or two numbers"},
        {"launch = function() return {kernels = {{grid = {'fixed', 0}, block = 32}}} end",
         "x.lua:7: launch: grid: 0 is not in 1.."},
        {"launch = function() return {kernels = {{grid = {'fixed', 1}, block = 2048}}} end",
         "x.lua:7: launch: block: 2048 is not in 1..1024"},
        {"launch = function() "
         "return {kernels = {{grid = {'fixed', 1}, block = 32, smem = 200000}}} end",
         "x.lua:7: launch: 200000 bytes of shared memory, but a block has at most 166912"},
        {"launch = function() "
         "return {kernels = {{grid = {'fixed', 1}, block = 32, name = 'A'}}} end",
         "x.lua:7: launch: 'A' cannot be a kernel's name"},
        {"launch = function() local k = {grid = {'fixed', 1}, block = 32} "
         "return {kernels = {k, k}} end", "x.lua:7: launch: two kernels of the same name"},
        {"launch = function() local k = {grid = {'fixed', 1}, block = 32} "
         "return {kernels = {k, k, k, k, k}} end", "x.lua:7: launch: 5 kernels; it takes 1 to 4"},
        {"launch = function() local k = {grid = {'fixed', 1}, block = 32} "
         "return {kernels = {k}, align = 3} end", "x.lua:7: launch: align must be a power of two"},
        {"launch = function() local k = {grid = {'fixed', 1}, block = 32} "
         "return {kernels = {k}, scratch = {tokens = 3}} end",
         "x.lua:7: launch: scratch: unknown entry 'tokens'; known entries: fixed token block"},
        {"launch = function() local k = {grid = {'fixed', 1}, block = 32} "
         "return {kernels = {k}, scratch = {token = -3}} end",
         "x.lua:7: launch: scratch: token: -3 is not in 0.."},
        {"launch = function() local k = {grid = {'fixed', 1}, block = 32} "
         "return {kernels = {k}, maps = {{'up', {64, 64}, 128}}} end",
         "x.lua:7: launch: maps: up has 4 dimensions, and its box 2"},
        {"launch = function() local k = {grid = {'fixed', 1}, block = 32} "
         "return {kernels = {k}, maps = {{'ids', {64}, 128}}} end",
         "x.lua:7: launch: maps: 'ids' is no tensor that has a map"},
        {"launch = function() local k = {grid = {'fixed', 1}, block = 32} "
         "return {kernels = {k}, maps = {{'h', {64, 512}, 128}}} end",
         "x.lua:7: launch: maps: h: a box is 1 to 256 elements along a dimension"},
        {"launch = function() local k = {grid = {'fixed', 1}, block = 32} "
         "return {kernels = {k}, maps = {{'h', {64, 64}, 100}}} end",
         "x.lua:7: launch: maps: h: a swizzle is 0, 32, 64 or 128 bytes"},
        {"cost = function() return {} end", "x.lua:7: cost: 'flops' is missing"},
        {"cost = function() return {flops = 1/0, bytes = 0} end", "x.lua:7: cost: flops is negat"},
        {"cost = function() return {flops = 0, bytes = 0, time = 1} end",
         "x.lua:7: cost: unknown entry 'time'; known entries: flops bytes ns"},
        {"cost = function() error('later') end", "x.lua:7: later"},
        {"cost = function() while true do end end", "x.lua:7: stopped after too many instructions"},
    };
    (void)state;
    folder_write(&f, "x.cu", "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char message[256];
        snprintf(message, sizeof message, "templates/%s", rows[i].message);
        folder_write_lua(&f, "x", "", rows[i].entries);
        assert_unusable(rows[i].entries, message);
    }
}

static void test_default_illegal(void **state) {
    moe_gen *gen;
    moe_facts facts = test_facts();
    moe_op op = test_op("combine t=1 d=8 k=1");
    moe_config config;
    moe_status status;
    (void)state;
    folder_write(&f, "x.cu", "");
    folder_write_lua(&f, "x", "", "require = function() return false, 'never' end");
    CHECK(moe_gen_open(f.path, &gen));
    status = moe_template_default(moe_gen_at(gen, 0), &op, &facts, &config);
    assert_int_equal(status, MOE_E_TEMPLATE);
    assert_string_equal(moe_error_text(), "templates/x.lua:3: default: 'n=1' is not legal: never");
    moe_gen_close(gen);
    folder_write_lua(&f, "x", "if true then return {n = 7} end", "");
    CHECK(moe_gen_open(f.path, &gen));
    status = moe_template_default(moe_gen_at(gen, 0), &op, &facts, &config);
    assert_int_equal(status, MOE_E_TEMPLATE);
    assert_string_equal(moe_error_text(),
                        "templates/x.lua:3: default: 'n=7': config: n=7 is none of its values: "
                        "1 2");
    moe_gen_close(gen);
}

static void test_illegal_config(void **state) {
    (void)state;
    folder_write(&f, "x.cu", "");
    folder_write_lua(&f, "x", "", "require = function(p, c) return c.n == 1 end");
    assert_int_equal(use("combine t=1 d=8 k=1", "n=2"), MOE_E_INVALID);
    assert_string_equal(moe_error_text(), "x: config: not legal: no reason given");
    assert_int_equal(use("combine t=1 d=8 k=1", "n=3"), MOE_E_INVALID);
    assert_string_equal(moe_error_text(), "x: config: n=3 is none of its values: 1 2");
    assert_int_equal(use("combine t=1 d=8 k=1", "m=3"), MOE_E_INVALID);
    assert_string_equal(moe_error_text(), "x: config: unknown parameter 'm'; known parameters: n");
}

static void test_bodies(void **state) {
    static const struct {
        const char *body, *message;
    } rows[] = {
        {"\n$(nothing)", "x.cu:2: unknown name 'nothing'; declare it with local, or see"},
        {"\n\n$(c.bm)", "x.cu:3: c has no 'bm'; it has: n"},
        {"$(p.t)", "x.cu:1: p.t is known only to default and cost: one kernel serves every"},
        {"$(d.sms)", "x.cu:1: d.sms is not known to the body: one kernel serves every device"},
        {"$(nil)", "x.cu:1: $( ) got a nil; it takes text, whole numbers and booleans"},
        {"$({})", "x.cu:1: $( ) got a table"},
        {"$(8 / 2)", "x.cu:1: $( ) got the float 4.0; use // for a whole number or moe.float"},
        {"% y = 1", "x.cu:1: 'y' would become global; declare it with local"},
        {"% c.n = 1", "x.cu:1: c is read-only; 'n' cannot be set"},
        {"a\n% error('stop')", "x.cu:2: stop"},
        {"% local q = t.lib.x", "x.cu:1: attempt to index a nil value (field 'lib')"},
        {"\n% moe.include('no.cuh')", "x.cu:2: there is no templates/include/no.cuh"},
        {"\n% moe.include('../x.lua')", "x.cu:2: there is no templates/include/../x.lua"},
        {"% moe.include('h' .. 'idden.cuh')",
         "x.cu:1: write the name hidden.cuh out in the template: its text counts in the"},
        {"% moe.include('bad.cuh')", "include/bad.cuh:2: unknown name 'oops'"},
        {"$(moe.symbol('second'))", "x.cu:1: launch returned no kernel second"},
        {"% while true do\ny\n% end", "x.cu:2: the source is larger than 4194304 bytes"},
        {"%% y", "x.cu:1: a line that starts with %% is neither Lua nor CUDA"},
        {"% if true then", "x.cu:2: 'end' expected (to close 'if' at line 1) near <eof>"},
        {"a\n% end\n", "x.cu:2: <eof> expected near 'end'"},
        {"\n$(1 2)", "x.cu:2: ')' expected near '2'"},
    };
    (void)state;
    folder_write_lua(&f, "x", "", "");
    folder_write(&f, "include/hidden.cuh", "hidden\n");
    folder_write(&f, "include/bad.cuh", "fine\n$(oops)\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char message[256];
        snprintf(message, sizeof message, "templates/%s", rows[i].message);
        folder_write(&f, "x.cu", rows[i].body);
        assert_unusable(rows[i].body, message);
    }
}

/* A cycle of includes is no endless loop: each comes once. */
static void test_cycle(void **state) {
    (void)state;
    folder_write_lua(&f, "x", "", "");
    folder_write(&f, "x.cu", "% moe.include('one.cuh')\n");
    folder_write(&f, "include/one.cuh", "% moe.include('two.cuh')\n1\n");
    folder_write(&f, "include/two.cuh", "% moe.include('one.cuh')\n2\n");
    CHECK(use("combine t=1 d=8 k=1", ""));
}

/* Half-written templates stop nobody who does not ask for them. */
static void test_broken_templates_are_left_out(void **state) {
    folder own;
    moe_gen *gen;
    const moe_template *t;
    (void)state;
    folder_make(&own);
    folder_write_lua(&own, "a", "", "");
    folder_write(&own, "a.cu", "");
    folder_write(&own, "half.lua", "return moe.templ");
    folder_write(&own, "half.cu", "");
    folder_write(&own, "lonely.cu", "");
    folder_write_lua(&own, "z", "", "");
    folder_write(&own, "z.cu", "% if then\n");
    CHECK(moe_gen_open(own.path, &gen));
    assert_int_equal(moe_gen_count(gen), 1);
    CHECK(moe_gen_need(gen, "a", &t));
    assert_string_equal(moe_template_name(t), "a");
    static const struct {
        const char *name, *why;
    } broken[] = {
        {"lonely", "templates/lonely.cu: there is no lonely.lua beside it; a template is both"},
        {"half", "templates/half.lua:1: "},
        {"z", "templates/z.cu:1: "},
    };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(moe_gen_need(gen, broken[i].name, &t), MOE_E_TEMPLATE);
        assert_string_equal(moe_error_text(), moe_gen_broken(gen, i));
        assert_null(moe_gen_find(gen, broken[i].name));
        assert_message(broken[i].name, broken[i].why);
    }
    assert_null(moe_gen_broken(gen, 3));
    assert_int_equal(moe_gen_need(gen, "b", &t), MOE_E_NOT_FOUND);
    moe_gen_close(gen);
    folder_remove(&own);
}

static void test_folders(void **state) {
    folder own;
    moe_gen *gen;
    char path[256];
    (void)state;
    assert_int_equal(moe_gen_open("/nonexistent/templates", &gen), MOE_E_NOT_FOUND);
    assert_string_equal(moe_error_text(), "/nonexistent/templates: No such file or directory; give "
                                          "the folder that holds the templates");
    folder_make(&own);
    assert_int_equal(moe_gen_open(own.path, &gen), MOE_E_NOT_FOUND);
    assert_non_null(strstr(moe_error_text(), "no template in it; give a folder of NAME.lua and"));
    folder_write(&own, "a.cu", "");
    assert_int_equal(moe_gen_open(own.path, &gen), MOE_E_TEMPLATE);
    assert_string_equal(moe_error_text(),
                        "templates/a.cu: there is no a.lua beside it; a template is both");
    folder_write_lua(&own, "a", "", "");
    folder_write_lua(&own, "b", "", "");
    CHECK(moe_gen_open(own.path, &gen));
    assert_int_equal(moe_gen_count(gen), 1);
    assert_string_equal(moe_gen_broken(gen, 0),
                        "templates/b.lua: there is no b.cu beside it; a template is both");
    moe_gen_close(gen);
    snprintf(path, sizeof path, "%s/b.cu", own.path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(moe_gen_open(own.path, &gen), MOE_E_IO);
    assert_non_null(strstr(moe_error_text(), "b.cu: Is a directory"));
    assert_int_equal(rmdir(path), 0);
    folder_write(&own, "b.cu", "");
    CHECK(moe_gen_open(own.path, &gen));
    assert_int_equal(moe_gen_count(gen), 2);
    assert_string_equal(moe_template_name(moe_gen_at(gen, 1)), "b");
    moe_gen_close(gen);
    folder_remove(&own);
}

static void test_names(void **state) {
    folder own;
    moe_gen *gen;
    (void)state;
    folder_make(&own);
    folder_write(&own, "a_name_of_twenty_nine_letters.cu", "");
    folder_write(&own, "a_name_of_twenty_nine_letters.lua", "");
    assert_int_equal(moe_gen_open(own.path, &gen), MOE_E_TEMPLATE);
    assert_string_equal(moe_error_text(), "templates/a_name_of_twenty_nine_letters.lua: the name "
                                          "is longer than 28 characters");
    folder_remove(&own);
}

static void test_large_file(void **state) {
    enum { SIZE = (1 << 20) + 1 };
    char *text = malloc(SIZE);
    (void)state;
    memset(text, '\n', SIZE);
    folder_write_lua(&f, "x", "", "");
    folder_write_bytes(&f, "x.cu", text, SIZE);
    free(text);
    moe_gen *gen;
    assert_int_equal(moe_gen_open(f.path, &gen), MOE_E_TEMPLATE);
    assert_non_null(strstr(moe_error_text(), "/x.cu: larger than 1048576 bytes"));
}

static void test_large_space(void **state) {
    moe_gen *gen;
    moe_facts facts = test_facts();
    moe_op op = test_op("combine t=1 d=8 k=1");
    moe_space *space;
    (void)state;
    folder_write(&f, "x.cu", "");
    folder_write_lua(&f, "x", "",
                     "params = function() local l = {} for i = 1, 16 do local v = {} "
                     "for j = 1, 64 do v[j] = j end l[i] = {'n' .. i, v} end return l end");
    CHECK(moe_gen_open(f.path, &gen));
    assert_int_equal(moe_space_open(moe_gen_at(gen, 0), &op, &facts, &space), MOE_E_TEMPLATE);
    assert_string_equal(moe_error_text(),
                        "templates/x.lua: params: more than 1048576 configs; offer fewer values");
    moe_gen_close(gen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),          cmocka_unit_test(test_entries),
        cmocka_unit_test(test_answers),        cmocka_unit_test(test_default_illegal),
        cmocka_unit_test(test_illegal_config), cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_cycle),          cmocka_unit_test(test_broken_templates_are_left_out),
        cmocka_unit_test(test_folders),        cmocka_unit_test(test_names),
        cmocka_unit_test(test_large_file),     cmocka_unit_test(test_large_space),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
