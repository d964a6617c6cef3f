/* label: unit - what nouns mean: grids, tile bounds, architectures, packed arguments, names. */
#include "check.h"

#include "core/args.h"
#include "core/launch.h"
#include "core/op.h"
#include "device/device.h"

#include <string.h>

static void test_grids(void **unused) {
    (void)unused;
    const moe_layer layer = {.d = 8, .f = 8, .e = 8, .k = 2};
    const struct {
        const char *grid;
        int64_t tokens, blocks;
    } table[] = {
        {"fixed(7)", 1, 7},         {"fixed(7)", 0, 0},          {"tokens(16)", 16, 1},
        {"tokens(16)", 17, 2},      {"tokens(16,3)", 17, 6},     {"rows(32)", 17, 2},
        {"row_tiles(16,4)", 1, 8},  {"row_tiles(16,4)", 4, 32},  {"row_tiles(16,1)", 100, 20},
        {"sms(2)", 5, 264},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        moe_grid grid;
        CHECK(moe_grid_parse(table[i].grid, &grid));
        assert_int_equal(moe_grid_blocks(&grid, &layer, table[i].tokens, 132), table[i].blocks);
    }
}

/* The bound on row tiles holds for the worst spread of rows, found by trying all spreads. */
static int64_t worst_tiles(int64_t rows, int64_t experts, int64_t bm) {
    if (experts == 1) return (rows + bm - 1) / bm;
    int64_t most = 0;
    for (int64_t mine = 0; mine <= rows; mine++) {
        int64_t tiles = (mine + bm - 1) / bm + worst_tiles(rows - mine, experts - 1, bm);
        if (tiles > most) most = tiles;
    }
    return most;
}

static void test_row_tiles(void **unused) {
    (void)unused;
    for (int64_t rows = 0; rows <= 20; rows++)
        for (int64_t experts = 1; experts <= 4; experts++)
            for (int64_t bm = 1; bm <= 8; bm *= 2)
                assert_int_equal(moe_row_tiles(rows, experts, bm), worst_tiles(rows, experts, bm));
}

static void test_archs(void **unused) {
    (void)unused;
    char suffix;
    assert_int_equal(moe_arch_parse("sm_90a", &suffix), 90);
    assert_int_equal(suffix, 'a');
    assert_int_equal(moe_arch_parse("sm_120", &suffix), 120);
    assert_int_equal(suffix, 0);
    assert_int_equal(moe_arch_parse("sm_100f", &suffix), 100);
    const char *const wrong[] = {"",     "90",      "sm_",    "sm_x",
                                 "sm_9", "sm_90aa", "sm_90 ", "compute_90", "sm_8021"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(moe_arch_parse(wrong[i], NULL), 0);
    moe_facts facts;
    CHECK(moe_facts_parse("sm_89 \"NVIDIA GeForce RTX 4090\" sms=128", &facts));
    assert_int_equal(facts.tensor_rate, 512);
    assert_int_equal(facts.smem, 101376);
    CHECK(moe_facts_parse("sm_90a \"NVIDIA H100\" sms=132 tensor_rate=5", &facts));
    assert_int_equal(facts.tensor_rate, 5);
    assert_int_equal(facts.sm, 90);
}

/* The packed arguments are laid out as C lays out the same struct. */
static void test_args(void **unused) {
    (void)unused;
    struct route {
        void *x, *router_weight, *router_keys, *router_noise, *router_bias, *logits, *jittered,
            *token_ids, *expert_table, *seed, *ids, *weights, *counts, *prob_sums, *loss_sums,
            *flags, *scratch;
        int tokens, vocab;
    } expected;
    struct permute {
        void *ids, *weights, *router_bias, *counts, *prob_sums, *mean_probs, *loss_sums, *losses,
            *next_bias;
        int bias_rate;
        void *expert_start, *expert_rows, *row_slots, *slot_rows, *tile_start, *scratch;
        int tokens, capacity, row_align, first_expert;
    } second;
    moe_arg_values values;
    for (int i = 0; i < MOE_ARG_COUNT; i++)
        values.value[i] = UINT64_C(0x1234567800000000) + (unsigned)i;
    uint64_t buffer[MOE_ARGS_MAX_SIZE / 8] = {0};
    assert_int_equal(moe_args_pack(MOE_OP_route, 0, &values, buffer), sizeof expected);
    memcpy(&expected, buffer, sizeof expected);
    assert_true((uint64_t)(uintptr_t)expected.scratch == values.value[MOE_ARG_scratch]);
    assert_int_equal(expected.tokens, MOE_ARG_tokens);
    assert_int_equal(moe_args_pack(MOE_OP_permute, 0, &values, buffer), sizeof second);
    memcpy(&second, buffer, sizeof second);
    assert_true((uint64_t)(uintptr_t)second.ids == values.value[MOE_ARG_ids]);
    assert_int_equal(second.tokens, MOE_ARG_tokens);
    assert_int_equal(second.capacity, MOE_ARG_capacity);
    assert_int_equal(second.row_align, MOE_ARG_row_align);
}

static void test_names(void **unused) {
    (void)unused;
    for (int i = 0; i < MOE_STATUS_COUNT; i++)
        assert_true(strlen(moe_status_text((moe_status)i)) > 1);
    for (int i = 0; i < MOE_MATCH_COUNT; i++) assert_true(strlen(moe_match_text((moe_match)i)) > 1);
    assert_string_equal(moe_status_text((moe_status)99), "unknown status");
    assert_string_equal(moe_match_text((moe_match)99), "unknown match");
    assert_string_equal(moe_version(), MOE_VERSION);
}

/* What the steps behind a router know of it: where its weights apply. */
static void test_weigh(void **unused) {
    (void)unused;
    moe_layer layer;
    char text[MOE_OP_TEXT_SIZE];
    CHECK(moe_layer_parse("d=64 f=32 e=8 k=1 router=topk>sigmoid>input", &layer));
    const moe_op up = moe_op_make(MOE_OP_gemm_up, &layer, 1, 0, 0);
    const moe_op down = moe_op_make(MOE_OP_gemm_down, &layer, 1, 0, 0);
    const moe_op route = moe_op_make(MOE_OP_route, &layer, 1, 0, 0);
    moe_op read;
    moe_op_print(&up, text, sizeof text);
    assert_non_null(strstr(text, " weigh=input "));
    CHECK(moe_op_parse(text, &read));
    assert_true(moe_op_equal(&up, &read) && read.layer.router.input);
    moe_op_print(&down, text, sizeof text);
    assert_null(strstr(text, "weigh"));
    moe_op_print(&route, text, sizeof text);
    assert_non_null(strstr(text, "router=topk>sigmoid ")); /* the same kernel as without `input` */
}

/* Sums of a shard know what share of the rows is here; those of all experts are one op for any
 * e. */
static void test_share(void **unused) {
    (void)unused;
    moe_layer shard, whole;
    char text[MOE_OP_TEXT_SIZE];
    CHECK(moe_layer_parse("d=64 f=32 e=8 k=2 local=2", &shard));
    CHECK(moe_layer_parse("d=64 f=32 e=8 k=2 local=8", &whole));
    const moe_op part = moe_op_make(MOE_OP_combine, &shard, 1, 0, 0);
    const moe_op all = moe_op_make(MOE_OP_combine, &whole, 1, 0, 0);
    moe_op read;
    moe_op_shape(&part, text, sizeof text);
    assert_string_equal(text, "d=64 e=8 k=2 x=bf16 local=2");
    moe_op_print(&part, text, sizeof text);
    CHECK(moe_op_parse(text, &read));
    assert_true(moe_op_equal(&part, &read) && read.layer.e == 8 && read.layer.local == 2);
    moe_op_shape(&all, text, sizeof text);
    assert_string_equal(text, "d=64 k=2 x=bf16");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grids),
        cmocka_unit_test(test_row_tiles),
        cmocka_unit_test(test_archs),
        cmocka_unit_test(test_args),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_weigh),
        cmocka_unit_test(test_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
