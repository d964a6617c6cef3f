/* label: unit */
/* test_space.c - counting, numbering and walking the legal configs. */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OP "gemm_up t=65 d=64 f=32 e=4 k=2"

static moe_gen *gen;
static moe_facts facts;

static int open_tiny(void **state) {
    (void)state;
    facts = test_facts();
    CHECK(moe_gen_open("tests/gen/templates", &gen));
    return 0;
}

static int close_tiny(void **state) {
    (void)state;
    moe_gen_close(gen);
    return 0;
}

static moe_space *space_of(const char *op_text) {
    moe_space *space = NULL;
    moe_op op = test_op(op_text);
    CHECK(moe_space_open(moe_gen_find(gen, "tiny"), &op, &facts, &space));
    return space;
}

static void assert_config(const moe_space *space, int64_t index, const char *text) {
    moe_config config;
    char got[MOE_CONFIG_TEXT_SIZE];
    CHECK(moe_space_config(space, index, &config));
    moe_config_print(&config, got, sizeof got);
    assert_string_equal(got, text);
}

/* bm 16,32,64 x warps 1,2,4 x unroll 0,1, with warps <= bm / 16 */
static void test_order(void **state) {
    static const char *const all[] = {
        "bm=16 warps=1 unroll=0", "bm=16 warps=1 unroll=1", "bm=32 warps=1 unroll=0",
        "bm=32 warps=1 unroll=1", "bm=32 warps=2 unroll=0", "bm=32 warps=2 unroll=1",
        "bm=64 warps=1 unroll=0", "bm=64 warps=1 unroll=1", "bm=64 warps=2 unroll=0",
        "bm=64 warps=2 unroll=1", "bm=64 warps=4 unroll=0", "bm=64 warps=4 unroll=1",
    };
    moe_space *space = space_of(OP);
    (void)state;
    assert_int_equal(moe_space_total(space), 18);
    assert_int_equal(moe_space_count(space), 12);
    for (int i = 0; i < 12; i++) assert_config(space, i, all[i]);
    moe_space_close(space);
}

static void test_round_trip(void **state) {
    moe_space *space = space_of(OP);
    (void)state;
    for (int64_t i = 0; i < moe_space_count(space); i++) {
        moe_config config;
        int64_t back = -1;
        CHECK(moe_space_config(space, i, &config));
        CHECK(moe_space_index(space, &config, &back));
        assert_int_equal(back, i);
    }
    moe_space_close(space);
}

/* The order in which a config's text names its parameters does not matter. */
static void test_any_order(void **state) {
    moe_space *space = space_of(OP);
    moe_config config = test_config("unroll=1 bm=64 warps=2");
    int64_t index = -1;
    (void)state;
    CHECK(moe_space_index(space, &config, &index));
    assert_int_equal(index, 9);
    moe_space_close(space);
}

static void test_refused(void **state) {
    static const struct {
        const char *config, *message;
    } rows[] = {
        {"bm=16 warps=2 unroll=0", "tiny: config: not legal: a warp needs 16 rows"},
        {"bm=24 warps=1 unroll=0", "tiny: config: bm=24 is none of its values: 16 32 64"},
        {"bm=16 warps=1", "tiny: config: 'unroll=' is missing"},
        {"bm=16 warps=1 unroll=0 bn=8",
         "tiny: config: unknown parameter 'bn'; known parameters: bm warps unroll"},
    };
    moe_space *space = space_of(OP);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        moe_config config = test_config(rows[i].config);
        int64_t index;
        assert_int_equal(moe_space_index(space, &config, &index), MOE_E_INVALID);
        assert_string_equal(moe_error_text(), rows[i].message);
    }
    moe_config config;
    assert_int_equal(moe_space_config(space, 12, &config), MOE_E_INVALID);
    assert_string_equal(moe_error_text(), "tiny: config 12 of 12");
    assert_int_equal(moe_space_config(space, -1, &config), MOE_E_INVALID);
    moe_space_close(space);
}

static void assert_neighbours(const moe_space *space, int64_t index, int count,
                              const int64_t *expected) {
    int64_t found[2 * MOE_MAX_PARAMS];
    assert_int_equal(moe_space_neighbours(space, index, found, 2 * MOE_MAX_PARAMS), count);
    assert_memory_equal(found, expected, (size_t)count * sizeof *found);
}

static void test_neighbours(void **state) {
    moe_space *space = space_of(OP);
    (void)state;
    assert_neighbours(space, 0, 2, (const int64_t[]){1, 2}); /* unroll up; bm up; warps=2 illegal */
    assert_neighbours(space, 4, 3, (const int64_t[]){5, 2, 8});
    assert_neighbours(space, 11, 2, (const int64_t[]){10, 9}); /* bm=32 warps=4 is illegal */
    int64_t one;
    assert_int_equal(moe_space_neighbours(space, 4, &one, 1), 1);
    assert_int_equal(one, 5);
    assert_int_equal(moe_space_neighbours(space, 99, &one, 1), 0);
    moe_space_close(space);
}

/* Neighbourhood is mutual, and walks over what is illegal in between. */
static void test_gaps(void **state) {
    folder f;
    moe_gen *own;
    moe_space *space = NULL;
    moe_op op = test_op("combine t=1 d=8 k=1");
    int64_t found[2];
    (void)state;
    folder_make(&f);
    folder_write(&f, "x.cu", "");
    folder_write_lua(&f, "x", "", "params = function() return {{'n', {1, 2, 3, 4, 9}}} end,"
                                  "require = function(p, c) return c.n % 3 ~= 2 and c.n ~= 3, 'no' "
                                  "end");
    CHECK(moe_gen_open(f.path, &own));
    CHECK(moe_space_open(moe_gen_at(own, 0), &op, &facts, &space));
    assert_int_equal(moe_space_count(space), 3); /* 1 4 9 */
    assert_int_equal(moe_space_neighbours(space, 0, found, 2), 1);
    assert_int_equal(found[0], 1);
    assert_int_equal(moe_space_neighbours(space, 1, found, 2), 2);
    assert_int_equal(found[0], 0);
    assert_int_equal(found[1], 2);
    moe_space_close(space);
    moe_gen_close(own);
    folder_remove(&f);
}

static void test_default(void **state) {
    const moe_template *t = moe_gen_find(gen, "tiny");
    moe_op few = test_op(OP), many = test_op("gemm_up t=64 d=64 f=32 e=4 k=2");
    moe_config config;
    (void)state;
    CHECK(moe_template_default(t, &few, &facts, &config));
    assert_int_equal(moe_config_get(&config, "bm", 0), 64);
    CHECK(moe_template_default(t, &many, &facts, &config));
    assert_int_equal(moe_config_get(&config, "bm", 0), 16);
}

static void test_cost(void **state) {
    const moe_template *t = moe_gen_find(gen, "tiny");
    moe_op op = test_op(OP);
    moe_config config = test_config("bm=16 warps=1 unroll=0");
    moe_cost cost;
    (void)state;
    CHECK(moe_template_cost(t, &op, &facts, &config, NULL, &cost));
    assert_true(cost.flops == 2 * 65 * 64 && cost.bytes == 65 * 64 * 2 && cost.ns == 65.0 / 16);
}

/* Compiled, an SM of 65536 registers holds two blocks of 128 threads with 250 registers each. */
static void test_cost_of_what_was_compiled(void **state) {
    const moe_template *t = moe_gen_find(gen, "tiny");
    moe_op op = test_op(OP);
    moe_config config = test_config("bm=16 warps=1 unroll=0");
    moe_launch built = {.kernels = 2, .kernel = {{.block = 128, .regs = 250},
                                                 {.block = 64, .regs = 40}}};
    moe_cost cost;
    (void)state;
    facts.regs_sm = 65536, facts.threads_sm = 2048, facts.blocks_sm = 32, facts.smem_sm = 167936;
    CHECK(moe_template_cost(t, &op, &facts, &config, &built, &cost));
    assert_true(cost.ns == 65.0 / 16 * (4 / 2 + 40));
    facts = test_facts();
}

static void test_serves(void **state) {
    const moe_template *t = moe_gen_find(gen, "tiny");
    moe_op up = test_op(OP), down = test_op("gemm_down t=65 d=64 f=32 e=4 k=2");
    moe_op f32 = test_op("gemm_up t=65 d=64 f=32 e=4 k=2 x=f32");
    moe_facts old = test_facts();
    moe_space *space;
    char reason[128];
    (void)state;
    assert_true(moe_template_serves(t, &up, &facts, reason, sizeof reason));
    assert_string_equal(reason, "");
    assert_true(moe_template_serves(t, &up, &facts, NULL, 0));
    assert_false(moe_template_serves(t, &down, &facts, reason, sizeof reason));
    assert_string_equal(reason, "tiny makes no gemm_down");
    assert_false(moe_template_serves(t, &f32, &facts, reason, sizeof reason));
    assert_string_equal(reason, "tiny: there is no f32");
    assert_false(moe_template_serves(t, &f32, &facts, reason, 5));
    assert_string_equal(reason, "tiny");
    old.sm = 75;
    strcpy(old.arch, "sm_75");
    assert_false(moe_template_serves(t, &up, &old, reason, sizeof reason));
    assert_string_equal(reason, "tiny serves sm_80 to sm_120, not sm_75");
    assert_int_equal(moe_space_open(t, &down, &facts, &space), MOE_E_INVALID);
    assert_string_equal(moe_error_text(), "tiny makes no gemm_down");
}

static void test_find(void **state) {
    char name[80];
    const moe_template *t = moe_gen_find(gen, "tiny");
    (void)state;
    assert_int_equal(moe_gen_count(gen), 1);
    assert_ptr_equal(moe_gen_at(gen, 0), t);
    assert_string_equal(moe_template_name(t), "tiny");
    assert_int_equal(strlen(moe_template_id(t)), strlen("tiny@12345678"));
    assert_ptr_equal(moe_gen_find(gen, moe_template_id(t)), t);
    assert_null(moe_gen_find(gen, "tiny@00000000"));
    assert_null(moe_gen_find(gen, "tin"));
    snprintf(name, sizeof name, "%s0", moe_template_id(t));
    assert_null(moe_gen_find(gen, name));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),      cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_any_order),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_neighbours), cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_default),    cmocka_unit_test(test_cost),
        cmocka_unit_test(test_cost_of_what_was_compiled),
        cmocka_unit_test(test_serves),     cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, open_tiny, close_tiny);
}
