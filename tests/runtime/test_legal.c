/* label: unit - a layer is what its text says: what is legal prints and reads back, whoever made
 * it. */
#include "check.h"

#include "core/layer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 40000 };

/* Layers to start from: each kind of router, and what goes with it. */
static const char *const texts[] = {
    "d=64 f=32 e=8 k=2",
    "d=64 f=32 e=8 k=2 capacity=1.25 priority=gate drop=renorm",
    "d=64 f=32 e=8 k=2 act=swiglu_clamp(7,1.702) bias=router,up,down layout=interleaved",
    "d=64 f=32 e=8 k=2 router=softmax>topk>renorm>second(mesh) capacity=2,gshard,min(4)",
    "d=64 f=32 e=8 k=2 router=jitter(0.01,all)>noisy>topk>softmax>scale(2.5)>input",
    "d=64 f=32 e=8 k=2 router=sigmoid+bias>groups(4,2,sum2,zero)>topk>renorm shared=64,gated",
    "d=64 f=32 e=8 k=2 router=topk>sparsemixer(0.01) router_dtype=f32 local=4",
    "d=64 f=32 e=8 k=2 x=f32 router=sqrtsoftplus>hash>renorm act=relu2",
    "d=64 f=32 e=8 k=8 router=expert_choice capacity=2,switch",
    "d=64 f=32 e=8 k=1 router=base",
    "d=64 f=32 e=8 k=2 router=given drop=renorm capacity=1,nllb",
    "d=64 f=1 e=64 k=8 act=none router=peer(2,8,128)",
    "d=64 f=1 e=64 k=8 act=gelu router=peer(2,8,256)>relu bias=router",
};

/* Members, for chance to change. */
static const struct {
    size_t offset;
    enum { WHOLE, REAL, CHOICE, FLAG } kind;
} members[] = {
#define AT(member) offsetof(moe_layer, member)
    {AT(d), WHOLE}, {AT(f), WHOLE}, {AT(e), WHOLE}, {AT(k), WHOLE}, {AT(act.kind), CHOICE},
    {AT(act.limit), REAL}, {AT(act.alpha), REAL}, {AT(x), CHOICE}, {AT(w), CHOICE},
    {AT(router.rule), CHOICE}, {AT(router.jitter_input), REAL}, {AT(router.jitter_experts), FLAG},
    {AT(router.noise), REAL}, {AT(router.score), CHOICE}, {AT(router.pick), CHOICE},
    {AT(router.key_bias), FLAG}, {AT(router.groups), WHOLE}, {AT(router.groups_kept), WHOLE},
    {AT(router.group_rule), CHOICE}, {AT(router.zero_fill), FLAG}, {AT(router.weigh), CHOICE},
    {AT(router.jitter), REAL}, {AT(router.renorm), FLAG}, {AT(router.epsilon), REAL},
    {AT(router.second), CHOICE}, {AT(router.scale), REAL}, {AT(router.input), FLAG},
    {AT(router.heads), WHOLE}, {AT(router.keys), WHOLE}, {AT(router.key_width), WHOLE},
    {AT(capacity.factor), REAL}, {AT(capacity.rule), CHOICE}, {AT(capacity.least), WHOLE},
    {AT(bias), CHOICE}, {AT(layout), CHOICE}, {AT(priority), CHOICE}, {AT(drop), CHOICE},
    {AT(router_dtype), CHOICE}, {AT(shared.f), WHOLE}, {AT(shared.gated), FLAG}, {AT(local), WHOLE},
#undef AT
};

enum { MEMBERS = sizeof members / sizeof *members };

static void change(dice *d, moe_layer *layer) {
    static const int64_t wholes[] = {-1, 0, 1,         2,          4,        7,
                                     8,  32, 64, 999999999, 1000000000, INT64_MAX};
    const double reals[] = {0, 1, 0.5, 2.5, -1, 1e-320, 1e300, 1e-20, 0.1 + 0.2, NAN, INFINITY};
    int i = (int)dice_between(d, 0, MEMBERS - 1);
    void *at = (char *)layer + members[i].offset;
    switch (members[i].kind) {
    case WHOLE: *(int64_t *)at = wholes[dice_between(d, 0, 11)]; break;
    case REAL: *(double *)at = reals[dice_between(d, 0, 10)]; break;
    case CHOICE: *(int *)at = (int)dice_between(d, -1, 12); break;
    case FLAG: *(bool *)at = dice_roll(d) % 2; break;
    }
}

/* True where the layer has a text that reads back, which is then what it prints again. */
static bool has_text(const moe_layer *layer) {
    char text[MOE_LAYER_TEXT_SIZE], again[MOE_LAYER_TEXT_SIZE];
    moe_layer back;
    if (moe_layer_print(layer, text, sizeof text) || moe_layer_parse(text, &back)) return false;
    CHECK(moe_layer_print(&back, again, sizeof again));
    assert_string_equal(text, again);
    return true;
}

static void test_legal_is_what_has_a_text(void **unused) {
    (void)unused;
    dice d = {12};
    int legal = 0, changed = 0;
    for (int i = 0; i < ROUNDS; i++) {
        char text[MOE_LAYER_TEXT_SIZE];
        moe_layer layer;
        CHECK(moe_layer_parse(texts[i % (int)(sizeof texts / sizeof *texts)], &layer));
        for (int64_t n = dice_between(&d, 0, 3); n > 0; n--) change(&d, &layer);
        bool passes = moe_layer_check(&layer) == MOE_OK;
        if (passes == has_text(&layer)) {
            legal += passes;
            changed++;
            continue;
        }
        const char *why = passes ? moe_error_text() : "";
        if (moe_layer_print(&layer, text, sizeof text)) snprintf(text, sizeof text, "none");
        fail_msg("round %d: the check %s, and the text, %s, does not agree: %s", i,
                 passes ? "passes" : "fails", text, why);
    }
    assert_true(legal > ROUNDS / 5 && changed - legal > ROUNDS / 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_legal_is_what_has_a_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
