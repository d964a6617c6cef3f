/* label: unit */
/* test_translate.c - a body becomes Lua, line by line. */
#include "translate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "local __line=...;"

typedef struct row {
    const char *body, *lua; /* without HEAD */
} row;

static void assert_lua(const char *body, size_t size, const char *lua) {
    gen_buffer out = {0};
    if (gen_translate("templates/x.cu", body, size, &out)) fail_msg("%s", moe_error_text());
    assert_memory_equal(out.data, HEAD, strlen(HEAD));
    assert_string_equal(out.data + strlen(HEAD), lua);
    gen_buffer_free(&out);
}

static void test_lines(void **state) {
    static const row rows[] = {
        {"", ""},
        {"\n", "__line(1)\n"},
        {"a\n\nb\n", "__line(1,\"a\")\n__line(2)\n__line(3,\"b\")\n"},
        {"no end", "__line(1,\"no end\")\n"},
        {"a\r\nb\r\n", "__line(1,\"a\")\n__line(2,\"b\")\n"},
        {"a\rb\n", "__line(1,\"a\\rb\")\n"},
        {"\r\n", "__line(1)\n"},
        {"% x = 1\r\n", " x = 1\n"},
        {"%\n", "\n"},
        {"  \t% if c.n then\ny\n% end", " if c.n then\n__line(2,\"y\")\n end\n"},
        {"a % b\n", "__line(1,\"a % b\")\n"},
        {"say \"hi\\n\";\n", "__line(1,\"say \\\"hi\\\\n\\\";\")\n"},
        {"\xc3\xa9 \x01\n", "__line(1,\"\xc3\xa9 \x01\")\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_lua(rows[i].body, strlen(rows[i].body), rows[i].lua);
}

static void test_expressions(void **state) {
    static const row rows[] = {
        {"$(a)", "__line(1,(a))\n"},
        {"x$(a)y", "__line(1,\"x\",(a),\"y\")\n"},
        {"$(a)$(b)", "__line(1,(a),(b))\n"},
        {"$(f(g(1), (2)))z", "__line(1,(f(g(1), (2))),\"z\")\n"},
        {"$(f(\")\"))", "__line(1,(f(\")\")))\n"},
        {"$(f(')('))", "__line(1,(f(')(')))\n"},
        {"$(f(\"\\\")\"))", "__line(1,(f(\"\\\")\")))\n"},
        {"$([[)]])", "__line(1,([[)]]))\n"},
        {"$([==[)]]]==])", "__line(1,([==[)]]]==]))\n"},
        {"$(t[1])", "__line(1,(t[1]))\n"},
        {"$(t[t[1]])", "__line(1,(t[t[1]]))\n"},
        {"$(a - -b)", "__line(1,(a - -b))\n"},
        {"$(\"--\")", "__line(1,(\"--\"))\n"},
        {"$ (a) $a $$", "__line(1,\"$ (a) $a $$\")\n"},
        {"$$(a)", "__line(1,\"$\",(a))\n"},
        {"$", "__line(1,\"$\")\n"},
        {"  $(\"%\") x", "__line(1,\"  \",(\"%\"),\" x\")\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_lua(rows[i].body, strlen(rows[i].body), rows[i].lua);
}

static void assert_error(const char *body, size_t size, const char *message) {
    gen_buffer out = {0};
    assert_int_equal(gen_translate("templates/x.cu", body, size, &out), MOE_E_TEMPLATE);
    assert_string_equal(moe_error_text(), message);
    gen_buffer_free(&out);
}

static void test_errors(void **state) {
    static const row rows[] = {
        {"a\n$(", "templates/x.cu:2: $( is not closed on its line"},
        {"a\n\n$(f(1)\n)", "templates/x.cu:3: $( is not closed on its line"},
        {"$(\")", "templates/x.cu:1: $( is not closed on its line"},
        {"$('\\", "templates/x.cu:1: $( is not closed on its line"},
        {"$([[)", "templates/x.cu:1: $( is not closed on its line"},
        {"$([=[)]])", "templates/x.cu:1: $( is not closed on its line"},
        {"a $() b", "templates/x.cu:1: $() holds no expression"},
        {"a $( \t) b", "templates/x.cu:1: $() holds no expression"},
        {"$(a -- b)", "templates/x.cu:1: a comment cannot stand in $( ); put it on a % line"},
        {"a\n  %% b", "templates/x.cu:2: a line that starts with %% is neither Lua nor CUDA; for a "
                      "literal % at the start write $(\"%\")"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_error(rows[i].body, strlen(rows[i].body), rows[i].lua);
    assert_error("a\0b", 3, "templates/x.cu: holds a zero byte; a template must be plain text");
}

/* Every cut of a template either translates or fails with a message; none reads past its end. */
static void test_cuts(void **state) {
    static const char body[] = "a $(f(\"\\\")\", [==[ ]=] ]==], '\\'')) % b\r\n%% \n% x\n$([[";
    (void)state;
    for (size_t size = 0; size < sizeof body; size++) {
        char *exact = malloc(size + 1); /* the sanitizer sees a read beyond */
        gen_buffer out = {0};
        memcpy(exact, body, size);
        exact[size] = '\0';
        moe_status status = gen_translate("x.cu", exact, size, &out);
        assert_true(status == MOE_OK || status == MOE_E_TEMPLATE);
        gen_buffer_free(&out);
        free(exact);
    }
}

static void test_long_line(void **state) {
    enum { SIZE = 300000 };
    gen_buffer out = {0};
    (void)state;
    char *body = malloc(SIZE);
    memset(body, 'x', SIZE);
    assert_int_equal(gen_translate("x.cu", body, SIZE, &out), MOE_OK);
    assert_int_equal(out.size, strlen(HEAD "__line(1,\"\")\n") + SIZE);
    gen_buffer_free(&out);
    free(body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),  cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
