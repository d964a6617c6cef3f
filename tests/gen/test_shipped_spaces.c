/* label: compile */
/* test_shipped_spaces.c - what must hold for the spaces of every template of the project. */
#include "folder.h"
#include "shipped.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* About ten configs of each space, ends included, render. */
static void check_space(const moe_template *t, const moe_op *op, const moe_facts *facts) {
    moe_space *space;
    moe_config config;
    int64_t index;
    if (op->t != 16 || facts->sm % 30) return; /* on sm_90a and sm_120a */
    CHECK(moe_space_open(t, op, facts, &space));
    int64_t count = moe_space_count(space);
    assert_in_range(count, 1, 100000);
    CHECK(moe_template_default(t, op, facts, &config));
    CHECK(moe_space_index(space, &config, &index));
    for (int64_t i = 0; i < count; i += count / 10 + 1) {
        moe_source source;
        CHECK(moe_space_config(space, i, &config));
        CHECK(moe_render(t, op, facts, &config, true, &source));
        moe_source_free(&source);
    }
    moe_space_close(space);
}

static void test_spaces(void **state) {
    (void)state;
    shipped_for_each(check_space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spaces),
    };
    return cmocka_run_group_tests(tests, shipped_open, shipped_close);
}
