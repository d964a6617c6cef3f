/* label: sim */
/* test_sizes.c - PTX text of hostile sizes: what nests is refused at a bounded depth, and what is
 * long takes time in proportion to its length. */
#include "rig.h"

#include "core/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char head[] = ".version 8.0\n.target sm_90\n.address_size 64\n";
static const char begin[] = ".visible .entry k()\n{\n.reg .u32 a;\nmov.u32 a, 0;\n";

typedef struct text {
    char *at;
    size_t used, room;
} text;

static void add(text *t, const char *format, int n) {
    if (t->room - t->used < 512) {
        t->room = t->room ? 2 * t->room : 4096;
        t->at = realloc(t->at, t->room);
        assert_non_null(t->at);
    }
    t->used += (size_t)snprintf(t->at + t->used, t->room - t->used, format, n, n, n);
}

/* `lines` n times, between what comes in front and behind. */
static text repeat(const char *front, const char *lines, const char *back, int n) {
    text t = {0};

    add(&t, head, 0);
    add(&t, front, 0);
    for (int i = 0; i < n; i++) add(&t, lines, i);
    add(&t, back, 0);
    return t;
}

static moe_status load(const text *t) {
    sim_rig rig;

    rig_open(&rig, "h100,threads=1");
    moe_status status = rig_try_load(&rig, t->at, "k");
    rig_close(&rig);
    return status;
}

static void nesting_is_bounded(void **state) {
    static const char *const pairs[][2] = {
        {"(", ")"}, {"{", "}"}, {"[", "]"}, {"a|", ""}, {"-", ""}, {"!", ""}, {"[a, {", "}]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        text t = repeat(begin, "mov.u32 a, ", "", 1);
        for (int n = 0; n < 100000; n++) add(&t, pairs[i][0], 0);
        add(&t, "a", 0);
        for (int n = 0; n < 100000; n++) add(&t, pairs[i][1], 0);
        add(&t, ";\nret;\n}\n", 0);
        assert_int_equal(load(&t), MOE_E_PARSE);
        assert_non_null(strstr(moe_error_text(), "PTX line 8"));
        free(t.at);
    }
    text scopes = repeat(begin, "{", "", 100000);
    assert_int_equal(load(&scopes), MOE_E_PARSE);
    free(scopes.at);
}

static double load_seconds(const char *const kind[3], int n) {
    struct timespec start, end;
    text t = repeat(kind[0], kind[1], kind[2], n);

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    if (load(&t) != MOE_OK) fail_msg("%s: %s", kind[1], moe_error_text());
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    free(t.at);
    return (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
}

/* Eight times as much takes about eight times as long; quadratic, it would be 64. */
static void length_is_linear(void **state) {
    static const char *const kinds[][3] = {
        {begin, ".reg .u32 b%d;\nmov.u32 b%d, a;\n", "ret;\n}\n"},
        {begin, "{ .reg .u32 t; mov.b32 t, a; add.u32 a, t, 1; }\n", "ret;\n}\n"},
        {begin, "add.u32 a, a, 1;\n", "ret;\n}\n"},
        {begin, "add.u32 a, a, %d;\n", "ret;\n}\n"},
        {begin, "L%d: add.u32 a, a, 1; bra L%d;\n", "ret;\n}\n"},
        {begin, "{ bra M; }\n", "M: ret;\n}\n"},
        {begin, "T%d: .branchtargets E, E;\n", "E: ret;\n}\n"},
        {"", ".global .align 4 .u32 x%d;\n", ".visible .entry k() { ret; }\n"},
        {"", ".shared .align 4 .u32 x%d;\n", ".visible .entry k() { ret; }\n"},
        {"", ".func f%d() { ret; }\n", ".visible .entry k() { call f0; ret; }\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        double less = load_seconds(kinds[i], 5000), more = load_seconds(kinds[i], 40000);
        if (more > 0.3 && more > 24 * less)
            fail_msg("%s: %.3f s, and %.3f s for eight times as much", kinds[i][1], less, more);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(length_is_linear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
