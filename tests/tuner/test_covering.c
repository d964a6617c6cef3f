/* label: unit
 * Covering sets hold every pair of levels, in few rows; the full product holds every row. */
#include "regress/covering.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As experts and choices: a level of the second may not exceed one of the first. */
static bool legal(const int *row) { return row[1] <= row[0]; }

static const moe_factors factors = {.count = 5, .levels = {4, 4, 9, 3, 2}, .legal = legal};

static bool some_row_has(const int *rows, int64_t n, int a, int i, int b, int j) {
    for (int64_t r = 0; r < n; r++)
        if (rows[r * factors.count + a] == i && rows[r * factors.count + b] == j) return true;
    return false;
}

static void test_every_pair_that_can_be_is_there(void **state) {
    (void)state;
    int *rows;
    int64_t n;
    assert_int_equal(moe_covering(&factors, 1, &rows, &n), MOE_OK);
    assert_in_range(n, 36, 60); /* 9 x 4 pairs at least, and few more */
    for (int64_t r = 0; r < n; r++) assert_true(legal(rows + r * factors.count));
    for (int a = 0; a < factors.count; a++)
        for (int b = a + 1; b < factors.count; b++)
            for (int i = 0; i < factors.levels[a]; i++)
                for (int j = 0; j < factors.levels[b]; j++) {
                    bool can_be = !(a == 0 && b == 1 && j > i);
                    assert_int_equal(some_row_has(rows, n, a, i, b, j), can_be);
                }
    free(rows);
}

static void test_the_same_seed_gives_the_same_rows(void **state) {
    (void)state;
    int *a, *b;
    int64_t n, m;
    assert_int_equal(moe_covering(&factors, 7, &a, &n), MOE_OK);
    assert_int_equal(moe_covering(&factors, 7, &b, &m), MOE_OK);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, (size_t)(n * factors.count) * sizeof *a);
    free(a);
    free(b);
}

static void test_the_full_product_is_full(void **state) {
    (void)state;
    int *rows;
    int64_t n;
    assert_int_equal(moe_full_product(&factors, &rows, &n), MOE_OK);
    assert_int_equal(n, 10 * 9 * 3 * 2); /* 10 legal pairs of the first two */
    for (int64_t r = 1; r < n; r++)
        assert_memory_not_equal(rows + r * factors.count, rows + (r - 1) * factors.count,
                                (size_t)factors.count * sizeof *rows);
    free(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair_that_can_be_is_there),
        cmocka_unit_test(test_the_same_seed_gives_the_same_rows),
        cmocka_unit_test(test_the_full_product_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
