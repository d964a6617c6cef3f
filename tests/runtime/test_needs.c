/* label: unit - what a layer says that it needs is what a run asks for, pointer by pointer. */
#include "check.h"

#include "core/layer.h"
#include "core/rule.h"
#include "core/tensor.h"
#include "run/bind.h"

#include <stdio.h>
#include <string.h>

static const char *const texts[] = {
    "d=64 f=32 e=8 k=2",
    "d=64 f=32 e=8 k=2 bias=router,up,down",
    "d=64 f=32 e=8 k=2 shared=64,gated",
    "d=64 f=32 e=8 k=2 router=sigmoid+bias>topk>renorm act=relu",
    "d=64 f=32 e=8 k=2 router=jitter(0.01)>noisy>topk>softmax local=4",
    "d=64 f=32 e=8 k=2 router=sqrtsoftplus>hash>renorm router_dtype=f32",
    "d=64 f=32 e=8 k=8 router=expert_choice capacity=2,switch",
    "d=64 f=32 e=8 k=2 router=given",
    "d=64 f=1 e=64 k=8 act=none router=peer(2,8,128)",
    "d=64 f=1 e=64 k=8 act=gelu router=peer(2,8,256)>relu bias=router",
};

/* A run that is given all that its entry may want, and nothing that the layer has no answer to. */
static moe_io full_io(const moe_layer *layer, moe_entry entry) {
    moe_io io = {.size = sizeof io, .routing_given = entry == MOE_ENTRY_GIVEN, .vocab = 5};
    for (moe_arg arg = 0; (int)arg < MOE_CALLER_TENSORS; arg++)
        if (moe_layer_has(layer, arg)) moe_io_set(&io, arg, (void *)(uintptr_t)(4096 + 64 * arg));
    if (entry == MOE_ENTRY_ROUTER) io.logits = NULL;
    return io;
}

/* Leaves one pointer out: only what is needed is missed, and only what is used arrives. */
static void agrees(const moe_layer *layer, moe_entry entry, moe_arg arg) {
    const moe_sizes sizes = moe_sizes_make(layer, 0, 1);
    const char *name = moe_tensor_describe(&sizes, arg).name;
    moe_io io = full_io(layer, entry);
    moe_arg_values values = {0};
    moe_need need;
    CHECK(moe_layer_needs(layer, entry, name, &need));
    CHECK(moe_bind(layer, &io, &values));
    const bool mine = moe_io_pointer(&io, arg) != NULL;
    assert_int_equal(values.value[arg] != 0, need != MOE_NEED_UNUSED && mine);
    /* Without logits it would enter by the router. */
    if (entry == MOE_ENTRY_LOGITS && arg == MOE_ARG_logits) return;
    char message[80];
    snprintf(message, sizeof message, "io.%s is NULL, and this layer needs it", name);
    moe_io_set(&io, arg, NULL);
    if (need == MOE_NEED_NEEDED)
        CHECK_FAILS(moe_bind(layer, &io, &values), MOE_E_INVALID, message);
    else
        CHECK(moe_bind(layer, &io, &values));
}

static void test_needs_are_those_of_runs(void **unused) {
    (void)unused;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        moe_layer layer;
        CHECK(moe_layer_parse(texts[i], &layer));
        for (moe_entry entry = 0; entry < MOE_ENTRY_COUNT; entry++)
            for (moe_arg arg = 0; (int)arg < MOE_CALLER_TENSORS; arg++)
                if (entry == MOE_ENTRY_GIVEN || moe_layer_routes(&layer))
                    agrees(&layer, entry, arg);
    }
}

static void test_by_name(void **unused) {
    (void)unused;
    moe_layer layer;
    moe_need need = MOE_NEED_OPTIONAL;
    static const struct {
        const char *member;
        moe_need router, logits, given;
    } table[] = {
        {"x", MOE_NEED_NEEDED, MOE_NEED_NEEDED, MOE_NEED_NEEDED},
        {"router_weight", MOE_NEED_NEEDED, MOE_NEED_UNUSED, MOE_NEED_UNUSED},
        {"router_bias", MOE_NEED_NEEDED, MOE_NEED_NEEDED, MOE_NEED_UNUSED}, /* of keys */
        {"logits", MOE_NEED_UNUSED, MOE_NEED_NEEDED, MOE_NEED_UNUSED},
        {"up_bias", MOE_NEED_UNUSED, MOE_NEED_UNUSED, MOE_NEED_UNUSED},
        {"ids", MOE_NEED_OPTIONAL, MOE_NEED_OPTIONAL, MOE_NEED_NEEDED},
        {"counts", MOE_NEED_OPTIONAL, MOE_NEED_OPTIONAL, MOE_NEED_OPTIONAL},
        {"next_router_bias", MOE_NEED_OPTIONAL, MOE_NEED_OPTIONAL, MOE_NEED_UNUSED},
    };
    CHECK(moe_layer_parse(texts[3], &layer));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CHECK(moe_layer_needs(&layer, MOE_ENTRY_ROUTER, table[i].member, &need));
        assert_int_equal(need, table[i].router);
        CHECK(moe_layer_needs(&layer, MOE_ENTRY_LOGITS, table[i].member, &need));
        assert_int_equal(need, table[i].logits);
        CHECK(moe_layer_needs(&layer, MOE_ENTRY_GIVEN, table[i].member, &need));
        assert_int_equal(need, table[i].given);
    }
}

static void test_misuse(void **unused) {
    (void)unused;
    moe_layer layer;
    moe_need need;
    moe_tensor_desc desc;
    CHECK(moe_layer_parse("d=64 f=32 e=8 k=2 router=given", &layer));
    CHECK_FAILS(moe_layer_needs(&layer, MOE_ENTRY_ROUTER, "x", &need), MOE_E_INVALID,
                "its entry is MOE_ENTRY_GIVEN");
    CHECK_FAILS(moe_layer_needs(&layer, MOE_ENTRY_GIVEN, "gate", &need), MOE_E_NOT_FOUND,
                "io.gate is no tensor of a layer; there are x router_weight");
    CHECK_FAILS(moe_layer_needs(&layer, (moe_entry)7, "x", &need), MOE_E_INVALID, "entry 7");
    layer.act.kind = (moe_act_kind)99;
    CHECK_FAILS(moe_layer_needs(&layer, MOE_ENTRY_GIVEN, "x", &need), MOE_E_INVALID, "act.kind");
    CHECK_FAILS(moe_layer_tensor(&layer, 1, 0, &desc), MOE_E_INVALID, "act.kind");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needs_are_those_of_runs),
        cmocka_unit_test(test_by_name),
        cmocka_unit_test(test_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
