/* label: unit */
/* test_render.c - same input, same bytes; and what a source may depend on. */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TINY "tests/gen/templates"

static moe_source render(const char *folder_path, const char *op_text, const char *config_text,
                         const moe_facts *facts, bool plain) {
    moe_gen *gen = NULL;
    moe_source source = {0};
    moe_op op = test_op(op_text);
    moe_config config = test_config(config_text);
    CHECK(moe_gen_open(folder_path, &gen));
    CHECK(moe_render(moe_gen_at(gen, 0), &op, facts, &config, plain, &source));
    assert_int_equal(strlen(source.text), source.size);
    moe_gen_close(gen);
    return source;
}

static void assert_same(const char *op_a, const char *op_b, const moe_facts *facts_a,
                        const moe_facts *facts_b) {
    moe_source a = render(TINY, op_a, "bm=32", facts_a, false);
    moe_source b = render(TINY, op_b, "bm=32", facts_b, false);
    assert_string_equal(a.text, b.text);
    assert_string_equal(a.launch.kernel[0].symbol, b.launch.kernel[0].symbol);
    moe_source_free(&a);
    moe_source_free(&b);
}

static void test_repeats(void **state) {
    moe_facts facts = test_facts();
    (void)state;
    assert_same("gemm_up t=65 d=64 f=32 e=4 k=2", "gemm_up t=65 d=64 f=32 e=4 k=2", &facts, &facts);
}

/* A template that kept something from one rendering to the next would show here. */
static void test_repeats_within(void **state) {
    static const char entries[] = "lib = {count = (function() local n = 0 "
                                  "return function() n = n + 1 return n end end)()}";
    folder f;
    moe_gen *gen;
    moe_facts facts = test_facts();
    moe_op op = test_op("combine t=1 d=8 k=1");
    moe_config config = test_config("");
    moe_source a, b;
    (void)state;
    folder_make(&f);
    folder_write_lua(&f, "x", "", entries);
    folder_write(&f, "x.cu", "$(t.lib.count()) $(t.lib.count())\n");
    CHECK(moe_gen_open(f.path, &gen));
    CHECK(moe_render(moe_gen_at(gen, 0), &op, &facts, &config, true, &a));
    CHECK(moe_render(moe_gen_at(gen, 0), &op, &facts, &config, true, &b));
    assert_string_equal(a.text, b.text);
    assert_non_null(strstr(a.text, "\n1 2\n"));
    moe_source_free(&a);
    moe_source_free(&b);
    moe_gen_close(gen);
    folder_remove(&f);
}

static void test_independent_of_workload(void **state) {
    moe_facts facts = test_facts(), other = test_facts();
    (void)state;
    assert_same("gemm_up t=65 d=64 f=32 e=4 k=2",
                "gemm_up t=9000 d=64 f=32 e=4 k=2 routing=zipf cache=warm", &facts, &facts);
    strcpy(other.name, "another");
    other.sms = 7;
    other.simulated = 1;
    other.clock = 1;
    assert_same("gemm_up t=65 d=64 f=32 e=4 k=2", "gemm_up t=65 d=64 f=32 e=4 k=2", &facts, &other);
}

static void symbol_of(const char *op, const char *config, const char *arch, char *symbol) {
    moe_facts facts = test_facts();
    facts.sm = 0;
    snprintf(facts.arch, sizeof facts.arch, "%s", arch);
    moe_facts_complete(&facts);
    moe_source source = render(TINY, op, config, &facts, false);
    strcpy(symbol, source.launch.kernel[0].symbol);
    assert_non_null(strstr(source.text, symbol));
    moe_source_free(&source);
}

/* Whatever changes the code changes the symbol. */
static void test_symbols(void **state) {
    char symbol[5][MOE_SYMBOL_SIZE];
    (void)state;
    symbol_of("gemm_up t=1 d=64 f=32 e=4 k=2", "bm=32", "sm_80", symbol[0]);
    symbol_of("gemm_up t=1 d=72 f=32 e=4 k=2", "bm=32", "sm_80", symbol[1]);
    symbol_of("gemm_up t=1 d=64 f=32 e=4 k=2", "bm=64", "sm_80", symbol[2]);
    symbol_of("gemm_up t=1 d=64 f=32 e=4 k=2", "bm=32", "sm_90", symbol[3]);
    symbol_of("gemm_up t=1 d=64 f=32 e=4 k=2", "bm=32", "sm_90a", symbol[4]);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(strncmp(symbol[i], "moe_gemm_up_", 12), 0);
        assert_int_equal(strlen(symbol[i]), 24);
        for (int j = 0; j < i; j++) assert_string_not_equal(symbol[i], symbol[j]);
    }
}

static void test_launch(void **state) {
    char text[2048], expected[2048];
    moe_facts facts = test_facts();
    moe_source s = render(TINY, "combine t=65 d=64 k=2", "unroll=1 warps=2 bm=32", &facts, true);
    (void)state;
    moe_launch_print(&s.launch, text, sizeof text);
    char base[MOE_SYMBOL_SIZE];
    snprintf(base, sizeof base, "%.24s", s.launch.kernel[0].symbol);
    snprintf(expected, sizeof expected,
             "kernel=%s_first grid=rows(32) block=64 cluster=1 smem=512 overlap=0 regs=0 spills=0 "
             "static_smem=0 kernel=%s_second grid=sms(2) block=64 cluster=2 smem=0 "
             "overlap=0 regs=0 spills=0 static_smem=0 align=32 scratch_fixed=0 scratch_token=8 "
             "scratch_block=0 deterministic=1 max_slots=0 maps=none",
             base, base);
    assert_string_equal(text, expected);
    assert_true(s.cost.flops == 2 * 65 * 64);
    moe_config_print(&s.config, text, sizeof text);
    assert_string_equal(text, "bm=32 warps=2 unroll=1");
    moe_source_free(&s);
}

/* Without the marks, the text is the same but for them. */
static void test_plain(void **state) {
    moe_facts facts = test_facts();
    moe_source marked = render(TINY, "combine t=1 d=64 k=2", "", &facts, false);
    moe_source plain = render(TINY, "combine t=1 d=64 k=2", "", &facts, true);
    const char *from = marked.text;
    char *to = marked.text;
    (void)state;
    assert_null(strstr(plain.text, "#line"));
    while (*from) { /* copies all lines but the marks */
        size_t length = strcspn(from, "\n") + 1;
        if (strncmp(from, "#line ", 6)) {
            memmove(to, from, length);
            to += length;
        }
        from += length;
    }
    *to = '\0';
    assert_string_equal(marked.text, plain.text);
    moe_source_free(&marked);
    moe_source_free(&plain);
}

/* Line `line` of `text`. */
static const char *line_of(const char *text, int line, char *out, size_t size) {
    for (; line > 1 && text; line--) {
        text = strchr(text, '\n');
        if (text) text++;
    }
    snprintf(out, size, "%.*s", text ? (int)strcspn(text, "\n") : 0, text ? text : "");
    return out;
}

static char *read_file(const char *path) {
    FILE *stream = fopen(path, "rb");
    char *text = calloc(1, 65536);
    assert_non_null(stream);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, stream) > 0);
    fclose(stream);
    return text;
}

/* Every line of the output that holds no substitution is the template line that the marks name. */
static void test_marks(void **state) {
    moe_facts facts = test_facts();
    moe_source s = render(TINY, "gemm_up t=1 d=64 f=32 e=4 k=2", "unroll=1", &facts, false);
    char *text = NULL, file[64] = "", path[128], source_line[256], template_line[256];
    int line = 0, compared = 0;
    bool args = false;
    (void)state;
    for (const char *at = strstr(s.text, "#line"); *at; at += strcspn(at, "\n") + 1) {
        line_of(at, 1, source_line, sizeof source_line);
        if (sscanf(source_line, "#line %d \"%63[^\"]\"", &line, file) == 2) {
            snprintf(path, sizeof path, "tests/gen/%s", file);
            free(text);
            text = read_file(path);
            continue;
        }
        line_of(text, line++, template_line, sizeof template_line);
        if (!strncmp(source_line, "struct args_", 12)) args = true; /* one template line */
        bool skip = args || strstr(template_line, "$(");
        if (!strcmp(source_line, "};")) args = false;
        if (skip) continue;
        assert_string_equal(source_line, template_line);
        compared++;
    }
    assert_int_equal(compared, 10);
    free(text);
    moe_source_free(&s);
}

static void test_values(void **state) {
    static const char body[] = "a $(1 << 40) $(-3) $(true) $(false) $('x') $(p.gated) $('') "
                               "$(8 // 3) $((('x'):rep(3))) $(c.n)\n";
    folder f;
    moe_facts facts = test_facts();
    (void)state;
    folder_make(&f);
    folder_write_lua(&f, "x", "", "");
    folder_write(&f, "x.cu", body);
    moe_source s = render(f.path, "combine t=1 d=8 k=1", "n=2", &facts, true);
    assert_non_null(strstr(s.text, "\na 1099511627776 -3 true false x false  2 xxx 2\n"));
    moe_source_free(&s);
    folder_remove(&f);
}

/* Changing a file that a template includes, even through another, changes its id; others do not. */
static void test_identity(void **state) {
    static const struct {
        const char *name, *text;
        bool changes;
    } rows[] = {
        {"include/other.cuh", "changed\n", false}, {"include/b.cuh", "changed\n", true},
        {"include/a.cuh", "% moe.include('b.cuh')\n\n", true},
        {"x.cu", "% moe.include('a.cuh') \n", true},
    };
    folder f;
    moe_gen *gen;
    char before[MOE_TEMPLATE_ID_SIZE], after[MOE_TEMPLATE_ID_SIZE];
    (void)state;
    folder_make(&f);
    folder_write_lua(&f, "x", "", "");
    folder_write(&f, "x.cu", "% moe.include('a.cuh')\n");
    folder_write(&f, "include/a.cuh", "% moe.include('b.cuh')\n");
    folder_write(&f, "include/b.cuh", "b\n");
    folder_write(&f, "include/other.cuh", "other\n");
    CHECK(moe_gen_open(f.path, &gen));
    strcpy(before, moe_template_id(moe_gen_at(gen, 0)));
    moe_gen_close(gen);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        folder_write(&f, rows[i].name, rows[i].text);
        CHECK(moe_gen_open(f.path, &gen));
        strcpy(after, moe_template_id(moe_gen_at(gen, 0)));
        moe_gen_close(gen);
        assert_int_equal(strcmp(before, after) != 0, rows[i].changes);
        strcpy(before, after);
    }
    folder_remove(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeats), cmocka_unit_test(test_repeats_within),
        cmocka_unit_test(test_independent_of_workload), cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_launch),  cmocka_unit_test(test_plain),
        cmocka_unit_test(test_marks),   cmocka_unit_test(test_values),
        cmocka_unit_test(test_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
