/* label: unit - what routers of each kind must be given, and what they take no notice of. */
#include "check.h"

#include "core/layer.h"
#include "core/tensor.h"
#include "run/bind.h"

#include <stdint.h>
#include <stdio.h>

/* A layer without biases or shared experts, and all that any router may read. */
static moe_layer layer_of(const char *router, moe_io *io) {
    char text[128];
    moe_layer layer;
    void *some = (void *)(uintptr_t)0x1000;
    snprintf(text, sizeof text, "d=64 f=32 e=8 k=2 router=%s", router);
    CHECK(moe_layer_parse(text, &layer));
    *io = (moe_io){.x = some, .router_weight = some, .router_noise = some, .up = some, .down = some,
                   .token_ids = some, .expert_table = some, .vocab = 5, .seed = some, .y = some};
    return layer;
}

static void test_given(void **unused) {
    (void)unused;
    moe_io io;
    moe_arg_values values = {0};
    const moe_layer layer = layer_of("given", &io);
    CHECK_FAILS(moe_bind(&layer, &io, &values), MOE_E_INVALID,
                "router=given has no router; set it");
    io.routing_given = true;
    CHECK_FAILS(moe_bind(&layer, &io, &values), MOE_E_INVALID, "io.ids is NULL");
    io.ids = (void *)(uintptr_t)0x2000;
    io.weights = (void *)(uintptr_t)0x3000;
    CHECK(moe_bind(&layer, &io, &values));
    assert_true(values.value[MOE_ARG_ids] == 0x2000 && values.value[MOE_ARG_router_weight] == 0);
}

static void test_tables(void **unused) {
    (void)unused;
    moe_io io;
    moe_arg_values values = {0};
    const moe_layer layer = layer_of("sqrtsoftplus>hash>renorm", &io);
    CHECK(moe_bind(&layer, &io, &values));
    assert_true(values.value[MOE_ARG_token_ids] && values.value[MOE_ARG_expert_table]);
    assert_true(values.value[MOE_ARG_vocab] == 5 && !values.value[MOE_ARG_seed]);
    io.vocab = INT64_C(1) << 31;
    CHECK_FAILS(moe_bind(&layer, &io, &values), MOE_E_INVALID, "io.vocab is 2147483648");
    io.vocab = 5, io.token_ids = NULL;
    CHECK_FAILS(moe_bind(&layer, &io, &values), MOE_E_INVALID, "io.token_ids is NULL");
    const moe_layer other = layer_of("softmax>topk", &io);
    CHECK(moe_bind(&other, &io, &values));
    assert_true(!values.value[MOE_ARG_token_ids] && !values.value[MOE_ARG_expert_table]);
}

/* Given logits have their noise already; given ids are drawn by nobody. */
static void test_draws(void **unused) {
    (void)unused;
    static const char *const routers[] = {"noisy>topk>softmax", "jitter(0.1)>softmax>topk",
                                          "softmax>topk>renorm>second(paper)"};
    moe_io io;
    moe_arg_values values = {0};
    for (size_t i = 0; i < sizeof routers / sizeof *routers; i++) {
        const moe_layer layer = layer_of(routers[i], &io);
        CHECK(moe_bind(&layer, &io, &values));
        assert_true(values.value[MOE_ARG_seed] == 0x1000);
        assert_true((values.value[MOE_ARG_router_noise] != 0) == (i == 0));
        io.seed = NULL;
        values = (moe_arg_values){0};
        CHECK(moe_bind(&layer, &io, &values));
        assert_true(values.value[MOE_ARG_seed] == 0);
    }
    const moe_layer noisy = layer_of(routers[0], &io);
    io.router_noise = NULL;
    CHECK_FAILS(moe_bind(&noisy, &io, &values), MOE_E_INVALID, "io.router_noise is NULL");
    io.logits = (void *)(uintptr_t)0x2000;
    CHECK(moe_bind(&noisy, &io, &values));
    io.routing_given = true;
    io.ids = (void *)(uintptr_t)0x2000;
    io.weights = (void *)(uintptr_t)0x3000;
    CHECK(moe_bind(&noisy, &io, &values));
    assert_true(values.value[MOE_ARG_seed] == 0);
}

/* Whatever output a layer lacks, who asks for it is told why. */
static void test_outputs_that_layers_lack(void **unused) {
    (void)unused;
    static const char *const texts[] = {"d=64 f=32 e=8 k=2", "d=64 f=32 e=8 k=1 router=base",
                                        "d=64 f=1 e=64 k=8 act=none router=peer(2,8,128)"};
    int lacking = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        moe_layer layer;
        CHECK(moe_layer_parse(texts[i], &layer));
        for (moe_arg arg = 0; (int)arg < MOE_CALLER_TENSORS; arg++) {
            const moe_sizes sizes = moe_sizes_make(&layer, 0, 1);
            const moe_tensor_desc desc = moe_tensor_describe(&sizes, arg);
            moe_arg_values values = {0};
            moe_io io = {.size = sizeof io};
            char message[80];
            if (desc.role != MOE_ROLE_OUTPUT || desc.present) continue;
            moe_io_set(&io, arg, (void *)(uintptr_t)0x1000);
            snprintf(message, sizeof message, "io.%s must be NULL: ", desc.name);
            CHECK_FAILS(moe_bind(&layer, &io, &values), MOE_E_UNSUPPORTED, message);
            lacking++;
        }
    }
    assert_true(lacking >= 6);
}

/* A router makes the sums that some output wants, and no others. */
static void test_sums_that_are_asked_for(void **unused) {
    (void)unused;
    static const struct {
        moe_arg output;
        bool probs, loads;
    } cases[] = {{MOE_ARG_counts, false, false}, {MOE_ARG_mean_probs, true, false},
                 {MOE_ARG_losses, true, true}, {MOE_ARG_next_bias, true, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_io io;
        moe_arg_values values = {0};
        const moe_layer layer = layer_of("sigmoid+bias>topk>renorm", &io);
        values.value[MOE_ARG_prob_sums] = values.value[MOE_ARG_loss_sums] = 0x4000;
        io.router_bias = io.x;
        moe_io_set(&io, cases[i].output, io.x);
        CHECK(moe_bind(&layer, &io, &values));
        assert_int_equal(values.value[MOE_ARG_prob_sums] != 0, cases[i].probs);
        assert_int_equal(values.value[MOE_ARG_loss_sums] != 0, cases[i].loads);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_given),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_outputs_that_layers_lack),
        cmocka_unit_test(test_sums_that_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
