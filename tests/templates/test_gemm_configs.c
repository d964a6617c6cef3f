/* label: sim
 * test_gemm_configs.c - configs from all over the grouped GEMM's space, on one lopsided layer whose
 * sizes fit no tile. */
#include "gemm_case.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { CONFIGS = 9 }; /* of each op and dtype */

/* Spreads CONFIGS configs evenly over the space, from a start of its own for each op. */
static void check_space(fixture *f, moe_op_kind kind, const char *text) {
    moe_layer layer;
    moe_space *space;
    CHECK(moe_layer_parse(text, &layer));
    moe_op op = moe_op_make(kind, &layer, 150, MOE_ROUTING_ZIPF, MOE_CACHE_COLD);
    CHECK(moe_space_open(moe_gen_find(f->gen, "grouped_gemm"), &op, moe_device_facts(f->device),
                         &space));
    int64_t count = moe_space_count(space);
    assert_true(count >= CONFIGS);
    int64_t start = kind == MOE_OP_gemm_up ? count / (3 * CONFIGS) : count * 2 / (3 * CONFIGS);
    for (int64_t i = 0; i < CONFIGS; i++) {
        char config_text[MOE_CONFIG_TEXT_SIZE];
        moe_config config;
        CHECK(moe_space_config(space, start + i * count / CONFIGS, &config));
        moe_config_print(&config, config_text, sizeof config_text);
        gemm_case_check(f, "grouped_gemm",
                        &(gemm_case){kind, text, 150, MOE_ROUTING_ZIPF, 16, config_text});
    }
    moe_space_close(space);
}

static void check_dtype(const char *layer) {
    fixture f;
    fixture_open(&f, "sim:a100");
    check_space(&f, MOE_OP_gemm_up, layer);
    check_space(&f, MOE_OP_gemm_down, layer);
    fixture_close(&f);
}

static void bf16_space(void **state) {
    (void)state;
    check_dtype("d=200 f=152 e=6 k=2 bias=up,down");
}

static void f32_space(void **state) {
    (void)state;
    check_dtype("d=200 f=152 e=6 k=2 x=f32");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bf16_space),
        cmocka_unit_test(f32_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
