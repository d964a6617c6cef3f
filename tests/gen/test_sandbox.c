/* label: unit */
/* test_sandbox.c - what a template tries and may not do, and that limits cannot be escaped. */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static folder f;

static int make(void **state) {
    (void)state;
    folder_make(&f);
    folder_write(&f, "x.cu", "body\n");
    return 0;
}

static int clean(void **state) {
    (void)state;
    folder_remove(&f);
    return 0;
}

/* Runs statements inside `default`, on line 3 of x.lua. */
static moe_status run(const char *code) {
    moe_gen *gen;
    moe_facts facts = test_facts();
    moe_op op = test_op("combine t=1 d=8 k=1");
    moe_config config;
    folder_write_lua(&f, "x", code, "");
    MOE_TRY(moe_gen_open(f.path, &gen));
    moe_status status = moe_template_default(moe_gen_at(gen, 0), &op, &facts, &config);
    moe_gen_close(gen);
    return status;
}

static void assert_refused(const char *code, const char *message) {
    char text[512];
    snprintf(text, sizeof text, "templates/x.lua:3: %s", message);
    if (run(code) != MOE_E_TEMPLATE) fail_msg("'%s' was not refused", code);
    if (strncmp(moe_error_text(), text, strlen(text)))
        fail_msg("'%s': '%s' instead of '%s'", code, moe_error_text(), text);
}

static void test_names(void **state) {
    static const char *const names[] = {
        "io", "os", "require", "package", "debug", "load", "loadstring", "loadfile", "dofile",
        "pcall", "xpcall", "coroutine", "collectgarbage", "getmetatable", "setmetatable", "rawget",
        "rawset", "rawequal", "rawlen", "next", "print", "warn", "_G", "_VERSION", "utf8",
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char code[64], message[64];
        snprintf(code, sizeof code, "local x = %s", names[i]);
        snprintf(message, sizeof message, "unknown name '%s'", names[i]);
        assert_refused(code, message);
    }
}

static void test_members(void **state) {
    static const char *const names[] = {
        "string.dump", "string.pack", "string.unpack", "math.random", "math.randomseed",
        "table.move", "moe.nothing",
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char code[64], message[64];
        int library = (int)strcspn(names[i], ".");
        snprintf(code, sizeof code, "local x = %s", names[i]);
        snprintf(message, sizeof message, "%.*s has no '%s'; it has: ", library, names[i],
                 names[i] + library + 1);
        assert_refused(code, message);
    }
}

static void test_escapes(void **state) {
    static const struct {
        const char *code, *message;
    } rows[] = {
        {"local x = ('x').dump", "string has no 'dump'"},
        {"local x = ('x'):rep(2).y", "string has no 'y'"},
        {"local x = '1' + 1", "attempt to perform arithmetic on a string value"},
        {"y = 1", "'y' would become global; declare it with local"},
        {"p = 1; p.t = 2", "attempt to index a number value"},
        {"p.t = 2", "p is read-only; 't' cannot be set"},
        {"string.format = 1", "string is read-only; 'format' cannot be set"},
        {"moe.args = 1", "moe is read-only; 'args' cannot be set"},
        {"local x = p.tokens", "p has no 'tokens'; it has: act act_alpha act_kind act_limit "},
        {"local x = d.name", "d has no 'name'; it has: arch bandwidth "},
        {"local x = p[1]", "p has no 'number'"},
        {"local x = string.format('%p', {})", "bad argument #1 to 'format' (%p is not allowed"},
        {"local x = string.format('%d%%%-5p', 1, {})",
         "bad argument #1 to 'format' (%p is not allowed"},
        {"error({})", "error(...) got a table; give it a string"},
        {"error()", "error(...) got a nil; give it a string"},
        {"error('one\\ntwo')", "one"},
        {"error('no place', 0)", "no place"},
        {"assert(false, 'said')", "said"},
        {"assert(nil)", "assertion failed!"},
        {"moe.error('100% wrong')", "100% wrong"},
        {"moe.include('x.cuh')", "moe.include works only while the body is rendered"},
        {"moe.args()", "moe.args works only while the body is rendered"},
        {"moe.symbol()", "moe.symbol works only while the body is rendered"},
        {"moe.template{}", "template: 'name' is missing"},
        {"moe.ceil_div(1, 0)", "argument 2 is 0; it must be at least 1"},
        {"moe.align(-1, 2)", "argument 1 is -1; it must be at least 0"},
        {"moe.ceil_div(1.5, 2)", "bad argument #1 to 'ceil_div'"},
        {"moe.log2(3)", "3 is not a power of two"},
        {"moe.log2(0)", "argument 1 is 0; it must be at least 1"},
        {"moe.dtype('f64')", "'f64' is no dtype; use bf16, f16 or f32"},
        {"moe.float(1/0)", "a float literal must be finite"},
        {"moe.float(1e300)", "a float literal must be finite"},
        {"for k in pairs({[{}] = 1}) do end", "a key that is a table has no order"},
        {"for k in pairs(nil) do end", "bad argument #1 to 'pairs' (table expected, got nil)"},
        {"table.sort({1, 'a'})", "attempt to compare"},
        {"local x = nil; x.y = 1", "attempt to index a nil value (local 'x')"},
        {"string.rep('x', 1 << 62)", "resulting string too large"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_refused(rows[i].code, rows[i].message);
}

static void test_endless(void **state) {
    static const char *const codes[] = {
        "while true do end",
        "local function g() return g() end g()",
        "for i = 1, math.huge do end",
        "local s = ('x'):rep(1000000) while true do s = s:sub(1, -2) .. 'y' end",
        "while true do local x = ('a'):rep(60):find(('a?'):rep(8)) end",
        "while true do ('x'):rep(1000000):find('y', 1, true) end",
        "local x = {} while true do x[1] = {x[1] and x[1][2]} end",
        "table.sort({3, 2, 1}, function() while true do end end)",
        "('abc'):gsub('.', function() while true do end end)",
    };
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_refused(codes[i], "stopped after too many instructions; look for an endless loop");
}

static void test_patterns(void **state) {
    (void)state;
    assert_refused("('a'):rep(3000):find(('.-'):rep(10) .. 'b')",
                   "the pattern '.-.-.-.-.-.-.-.-.-.-b' could take for ever on a string of 3000");
    assert_refused("('a'):rep(40):match(('a?'):rep(40) .. ('a'):rep(40))", "the pattern '");
    assert_refused("('a'):rep(3000):gsub('.-.-.-b', '', 1)", "the pattern '");
    assert_int_equal(run("assert(('a'):rep(3000):find('.-.-b', 1, true) == nil)"), MOE_OK);
}

static void test_memory(void **state) {
    static const char *const codes[] = {
        "local x = ('x'):rep(1 << 30)",
        "local s = 'x' while true do s = s .. s end",
        "local x = {} for i = 1, 1 << 40 do x[i] = i end",
        "local x = {} for i = 1, 1 << 40 do x[i] = {} end",
        "local x = {} for i = 1, 1 << 40 do x[i] = tostring(i) end",
        "local function g() return g() + 1 end g()",
        "local x = {} for i = 1, 30 do x[i] = ('x'):rep(1 << 22) end table.concat(x)",
    };
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_refused(codes[i], "needs more than 64 MiB of memory; look for a string, table");
}

/* A limit met once says nothing about the next call. */
static void test_recovery(void **state) {
    moe_gen *gen;
    moe_facts facts = test_facts();
    moe_op hang = test_op("combine t=1 d=8 k=1"), bomb = test_op("combine t=2 d=8 k=1");
    moe_op fine = test_op("combine t=3 d=8 k=1");
    moe_config config;
    (void)state;
    folder_write_lua(&f, "x", "while p.t == 1 do end if p.t == 2 then ('x'):rep(1 << 30) end", "");
    CHECK(moe_gen_open(f.path, &gen));
    const moe_template *t = moe_gen_at(gen, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(moe_template_default(t, &hang, &facts, &config), MOE_E_TEMPLATE);
        assert_int_equal(moe_template_default(t, &bomb, &facts, &config), MOE_E_TEMPLATE);
        CHECK(moe_template_default(t, &fine, &facts, &config));
    }
    moe_gen_close(gen);
}

/* Asserts in Lua what works. */
static void test_library(void **state) {
    static const char *const codes[] = {
        "local s = '' for k, v in pairs({z = 1, a = 2, [3] = 3, [1] = 4, [true] = 5, [2.5] = 6}) "
        "do s = s .. tostring(k) .. v end assert(s == 'true5142.5633a2z1', s)",
        "local s = '' for k in pairs(p) do s = s .. k .. ' ' end "
        "assert(s:find('act act_alpha', 1, true) == 1, s)",
        "local n = 0 for k in pairs({}) do n = n + 1 end assert(n == 0)",
        "local t = {a = 1, b = 2, c = 3} local s = '' "
        "for k in pairs(t) do s = s .. k t.b = nil end assert(s == 'ac', s)",
        "assert(tostring({}) == 'table' and tostring(pairs) == 'function')",
        "assert(string.format('%s %d %5.1f %q', {}, 3, 1.25, 'x') == 'table 3   1.2 \"x\"')",
        "assert(('a,b'):gsub(',', ';') == 'a;b' and ('a1'):match('%d') == '1')",
        "local s = '' for w in ('a bc d'):gmatch('%a+') do s = w .. s end assert(s == 'dbca')",
        "assert(moe.ceil_div(7, 2) == 4 and moe.ceil_div(8, 2) == 4 and moe.ceil_div(0, 2) == 0)",
        "assert(moe.align(7, 4) == 8 and moe.align(8, 4) == 8 and moe.log2(64) == 6)",
        "assert(moe.ceil_div(math.maxinteger, 1) == math.maxinteger)",
        "assert(moe.float(7) == '7.0f' and moe.float(1.702) == '1.702f')",
        "assert(moe.float(0.1) == '0.1f' and moe.float(1e-20) == '1e-20f')",
        "assert(moe.float(1/3) == '0.33333334f' and moe.float(-0.5) == '-0.5f')",
        "assert(moe.dtype('f32').cuda == 'float' and moe.dtype('bf16').bytes == 2)",
        "local t = {} for i = 1, 1000 do t[i] = {i % 10, i} end "
        "table.sort(t, function(a, b) return a[1] < b[1] end) "
        "for i = 2, 1000 do assert(t[i-1][1] < t[i][1] or "
        "t[i-1][1] == t[i][1] and t[i-1][2] < t[i][2]) end",
        "local t = {3, 1, 2} table.sort(t) assert(table.concat(t, ' ') == '1 2 3')",
        "local t = {} table.sort(t) assert(#t == 0)",
        "assert(p.t == 1 and p.kind == 'combine' and p.x == 'bf16' and p.xbytes == 2)",
        "assert(p.routing == 'uniform' and p.cache == 'cold' and p.capacity == 'none')",
        "assert(d.sm == 80 and d.arch == 'sm_80' and d.sms == 100 and d.smem == 163 * 1024)",
    };
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (run(codes[i])) fail_msg("%s\n%s", codes[i], moe_error_text());
}

static void test_bytecode(void **state) {
    moe_gen *gen;
    (void)state;
    folder_write(&f, "x.lua", "\x1bLua binary");
    assert_int_equal(moe_gen_open(f.path, &gen), MOE_E_TEMPLATE);
    assert_non_null(strstr(moe_error_text(), "attempt to load a binary chunk"));
    assert_int_equal(strncmp(moe_error_text(), "templates/x.lua: ", 17), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),    cmocka_unit_test(test_members),
        cmocka_unit_test(test_escapes),  cmocka_unit_test(test_endless),
        cmocka_unit_test(test_patterns), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_recovery), cmocka_unit_test(test_library),
        cmocka_unit_test(test_bytecode),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
