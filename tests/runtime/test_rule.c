/* label: unit - rules of a router with a logic of their own: text form, and what they ask of a
 * layer. */
#include "check.h"

#include "core/layer.h"
#include "core/router.h"

#include <string.h>

static const struct {
    const char *layer, *because; /* NULL: it is legal, and prints as it reads */
} layers[] = {
    {"d=64 f=32 e=8 k=1 act=swiglu x=bf16 w=bf16 router=base capacity=none bias=none", NULL},
    {"d=64 f=32 e=8 k=2 router=base", "base assigns each token to one expert; k=2 should be 1"},
    {"d=64 f=32 e=8 k=1 router=base capacity=1.25", "leave the capacity out"},
    {"d=64 f=32 e=64 k=64 act=swiglu x=bf16 w=bf16 router=expert_choice capacity=2,switch "
     "bias=none",
     NULL},
    {"d=64 f=32 e=64 k=2 router=expert_choice capacity=2,switch", "k=2 should be e=64"},
    {"d=64 f=32 e=8 k=8 router=expert_choice", "as in capacity=2,switch"},
    {"d=64 f=32 e=8 k=8 router=expert_choice capacity=2", "as in capacity=2,switch"},
    {"d=64 f=32 e=8 k=8 router=expert_choice capacity=2,switch priority=gate", "drops nothing"},
#define SIZES "d=64 f=32 e=8 k=2 act=swiglu x=bf16 w=bf16 router="
#define REST " capacity=none bias=none"
    {SIZES "given" REST, NULL},
    {"d=64 f=32 e=64 k=33 router=given", "k=33 is not in 1..32"},
    {"d=64 f=32 e=8 k=2 router=given bias=router", "router=given has no router"},
    {"d=64 f=32 e=8 k=2 router=given router_dtype=f32", "router=given has no router"},
    {SIZES "softmax>topk>renorm(1e-09)>second(mesh)" REST, NULL},
    {SIZES "softmax>topk>renorm>second(nllb)" REST, NULL},
    {SIZES "jitter(0.01)>softmax>topk>renorm>second(paper)" REST, NULL},
    {"d=64 f=32 e=8 k=3 router=softmax>topk>renorm>second(mesh)", "k=3 should be 2"},
    {"d=64 f=32 e=8 k=2 router=softmax>topk>second(mesh)", "goes with softmax>topk>renorm alone"},
    {"d=64 f=32 e=8 k=2 router=sigmoid>topk>renorm>second(mesh)", "softmax>topk>renorm alone"},
    {"d=64 f=32 e=8 k=2 router=softmax+bias>topk>renorm>second(mesh)", "softmax>topk>renorm alone"},
    {"d=64 f=32 e=8 k=2 router=softmax>topk>renorm>second(mesh)>scale(2)", "topk>renorm alone"},
    {"d=64 f=32 e=8 k=2 router=softmax>hash>renorm>second(mesh)", "softmax>topk>renorm alone"},
    {"d=64 f=32 e=8 k=2 router=softmax>topk>renorm>second(often)", "second(mesh), second(nllb)"},
    {SIZES "noisy>topk>softmax" REST, NULL},
    {SIZES "noisy(0.1)>topk>softmax" REST, NULL},
    {SIZES "jitter(0.01)>noisy>softmax>topk>renorm" REST, NULL},
    {SIZES "jitter(0.01,all)>softmax>topk>renorm" REST, NULL},
    {"d=64 f=32 e=8 k=2 router=jitter>topk>softmax", "jitter(0.01) or jitter(0.01,all)"},
    {"d=64 f=32 e=8 k=2 router=jitter(0.01,)>topk>softmax", "jitter(0.01) or jitter(0.01,all)"},
    {"d=64 f=32 e=8 k=2 router=jitter(0.01,none)>topk>softmax", "jitter(0.01) or jitter(0.01,all)"},
    {"d=64 f=32 e=8 k=2 router=jitter(1)>topk>softmax", "would turn inputs round"},
    {"d=64 f=32 e=8 k=2 router=jitter(0.1,all)>topk>softmax shared=32",
     "leave `all` or the shared"},
    {"d=64 f=32 e=8 k=2 router=noisy>jitter(0.01)>topk>softmax", "'jitter' stands too late"},
    {SIZES "sqrtsoftplus>hash>renorm>scale(1.5)" REST, NULL},
    {SIZES "hash>softmax" REST, NULL},
    {"d=64 f=32 e=8 k=2 router=noisy>hash>softmax", "hash selects by token ids"},
    {"d=64 f=32 e=8 k=2 router=sigmoid+bias>hash>renorm", "hash selects by token ids"},
    {"d=64 f=32 e=8 k=2 router=sigmoid>groups(4,2,max)>hash", "hash selects by token ids"},
    {"d=64 f=32 e=8 k=2 router=hash>sparsemixer(0.01)", "sparsemixer weighs the k best"},
    {"d=64 f=32 e=8 k=2 router=hash>topk>softmax",
     "'topk' stands too late or twice; stages come in the order: jitter, noisy, softmax or "
     "sigmoid or sqrtsoftplus, groups, topk or hash, softmax or sigmoid or sparsemixer, renorm, "
     "second"},
#undef SIZES
#undef REST
    {"d=64 f=32 e=64 k=33", "k=33 is not in 1..32"},
    {"d=64 f=1 e=1048576 k=128 act=gelu x=bf16 w=bf16 router=peer(8,1024,256) capacity=none "
     "bias=router",
     NULL},
    {"d=64 f=1 e=256 k=8 act=silu x=f16 w=f16 router=peer(2,16,128)>relu capacity=none bias=none",
     NULL},
    {"d=64 f=1 e=256 k=8 act=none x=f32 w=f32 router=peer(2,16,128) capacity=none bias=none "
     "local=64",
     NULL},
    {"d=64 f=8 e=256 k=8 act=relu router=peer(2,16,128)", "go together"},
    {"d=64 f=1 e=256 k=8 act=relu", "go together"},
    {"d=64 f=1 e=256 k=8 router=peer(2,16,128)", "swiglu should be one of relu"},
    {"d=64 f=8 e=256 k=8 act=none", "single values"},
    {"d=64 f=1 e=256 k=7 act=relu router=peer(2,16,128)", "k=7 should be 2 heads times 1..32"},
    {"d=64 f=1 e=256 k=34 act=relu router=peer(2,16,128)", "k=34 should be 2 heads times 1..32"},
    {"d=64 f=1 e=255 k=8 act=relu router=peer(2,16,128)", "e=255 should be that"},
    {"d=64 f=1 e=100 k=8 act=relu router=peer(2,10,128)",
     "10 keys of peer are not a multiple of 8"},
    {"d=64 f=1 e=256 k=8 act=relu router=peer(2,16,96)", "pad both halves"},
    {"d=64 f=1 e=256 k=8 act=relu router=peer(2,16,128", "should read like peer(8,1024,256)"},
    {"d=64 f=1 e=256 k=8 act=relu router=peer(2,16,)", "should read like peer(8,1024,256)"},
    {"d=64 f=1 e=256 k=8 act=relu router=peer(2)", "should read like peer(8,1024,256)"},
    {"d=64 f=1 e=256 k=8 act=relu router=peer", "should read like peer(8,1024,256)"},
    {"d=64 f=1 e=256 k=8 act=relu router=peer(2,16,128)>renorm", "should read like peer"},
    {"d=64 f=1 e=256 k=8 act=relu router=peer(2,16,128) capacity=1.25", "have no capacity"},
    {"d=64 f=1 e=256 k=8 act=relu router=peer(2,16,128) bias=up", "neither bias=up,down"},
    {"d=64 f=1 e=256 k=8 act=relu router=peer(2,16,128) shared=1", "neither bias=up,down"},
    {"d=64 f=1 e=256 k=8 act=relu router=peer(2,16,128) router_dtype=f32", "in w's dtype"},
    {"d=64 f=32 e=8 k=1 router=base(3)", "'base' is no stage of a router"},
    {"d=64 f=32 e=8 k=1 router=base>renorm", "'base' is no stage of a router"},
};

static void test_layers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        char text[MOE_LAYER_TEXT_SIZE];
        moe_layer layer;
        moe_status status = moe_layer_parse(layers[i].layer, &layer);
        if (layers[i].because) {
            if (!status || !strstr(moe_error_text(), layers[i].because))
                fail_msg("%s: '%s', should say '%s'", layers[i].layer, moe_error_text(),
                         layers[i].because);
            continue;
        }
        CHECK(status);
        CHECK(moe_layer_print(&layer, text, sizeof text));
        assert_string_equal(text, layers[i].layer);
    }
}

static void usual_width(void **state) {
    char text[MOE_LAYER_TEXT_SIZE];
    moe_layer layer;
    (void)state;
    CHECK(moe_layer_parse("d=64 f=1 e=256 k=8 act=relu router=peer(2,16)", &layer));
    CHECK(moe_layer_print(&layer, text, sizeof text));
    assert_non_null(strstr(text, "router=peer(2,16,256) "));
}

/* Each row of a table of choices is there, has a name that no other has, and words where it is
 * written as a stage. */
static void check_choices(const moe_choice_info *row, int count, bool words) {
    for (int i = 0; i < count; i++) {
        assert_non_null(row[i].name);
        assert_true(!words || row[i].unwritten || row[i].words);
        for (int j = 0; j < i; j++) assert_string_not_equal(row[i].name, row[j].name);
    }
}

/* A constant of moetune.h without a row would be a hole in a table. */
static void tables_are_whole(void **state) {
    (void)state;
    check_choices(moe_score_table, MOE_SCORE_COUNT, true);
    check_choices(moe_pick_table, MOE_PICK_COUNT, false);
    check_choices(moe_weigh_table, MOE_WEIGH_COUNT, true);
    check_choices(moe_second_table, MOE_SECOND_COUNT, true);
    check_choices(moe_group_table, MOE_GROUP_COUNT, true);
    for (int i = 0; i < MOE_SCORE_COUNT; i++)
        assert_true(moe_score_table[i].words && moe_score_table[i].keys);
    for (int i = 0; i < MOE_ACT_COUNT; i++) assert_non_null(moe_act_names[i]);
    for (int i = 0; i < MOE_CAPACITY_COUNT; i++) assert_non_null(moe_capacity_formulas[i]);
    for (int i = 0; i < MOE_RULE_COUNT; i++) {
        const moe_rule_info *rule = &moe_rule_table[i];
        assert_true(rule->name && rule->check);
        assert_true(rule->words || i == MOE_RULE_TOPK);
        assert_true(!rule->read == !rule->form && !rule->read == !rule->print);
        assert_true(rule->routes || !rule->losses);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layers), cmocka_unit_test(usual_width),
                                       cmocka_unit_test(tables_are_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
