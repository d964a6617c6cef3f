/* label: unit */
/* test_shipped.c - what must hold for every template of the project, over ops and devices. */
#include "folder.h"
#include "shipped.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check_default(const moe_template *t, const moe_op *op, const moe_facts *facts) {
    moe_config config;
    moe_cost cost;
    CHECK(moe_template_default(t, op, facts, &config));
    CHECK(moe_template_cost(t, op, facts, &config, NULL, &cost));
    assert_true(cost.bytes > 0 && cost.flops >= 0);
    assert_true(cost.ns > 0 && cost.ns < 1e12);
}

/* Defaults are legal, and can be ranked. */
static void test_defaults(void **state) {
    (void)state;
    shipped_for_each(check_default);
}

static void check_render(const moe_template *t, const moe_op *op, const moe_facts *facts) {
    moe_config config, none = {0};
    moe_source source, again;
    if (op->t != 129) return;
    CHECK(moe_template_default(t, op, facts, &config));
    CHECK(moe_render(t, op, facts, &config, false, &source));
    CHECK(moe_render(t, op, facts, &none, false, &again));
    assert_string_equal(source.text, again.text);
    for (int64_t i = 0; i < source.launch.kernels; i++) {
        const moe_kernel *kernel = &source.launch.kernel[i];
        assert_non_null(strstr(source.text, kernel->symbol));
        assert_int_equal(kernel->block % 32, 0);
        int64_t blocks = moe_grid_blocks(&kernel->grid, &op->layer, op->t, facts->sms);
        assert_in_range(blocks, 1, INT32_MAX);
    }
    moe_source_free(&source);
    moe_source_free(&again);
}

static void test_renders(void **state) {
    (void)state;
    shipped_for_each(check_render);
}

/* Weights that are not stored as x are refused by one rule, which does not ask the templates. */
static void check_weights(const moe_template *t, const moe_op *op, const moe_facts *facts) {
    char reason[256];
    moe_op other = *op;
    char text[MOE_OP_TEXT_SIZE];
    moe_op_print(op, text, sizeof text);
    const bool reads = strstr(text, " w=") != NULL;
    other.layer.w = op->layer.x == MOE_F32 ? MOE_BF16 : MOE_F32;
    assert_int_equal(moe_template_serves(t, &other, facts, reason, sizeof reason), !reads);
    if (reads) assert_non_null(strstr(reason, "takes weights of x's dtype, "));
}

static void test_weights(void **state) {
    (void)state;
    shipped_for_each(check_weights);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_renders),
        cmocka_unit_test(test_weights),
    };
    return cmocka_run_group_tests(tests, shipped_open, shipped_close);
}
