/* label: unit - rules of a router with a logic of their own: text form, and what they ask of a layer. */
#include "check.h"

#include "moetune.h"

#include <string.h>

static const struct {
    const char *layer, *because; /* NULL: it is legal, and prints as it reads */
} layers[] = {
    {"d=64 f=32 e=8 k=1 act=swiglu x=bf16 w=bf16 router=base capacity=none bias=none", NULL},
    {"d=64 f=32 e=8 k=2 router=base", "base assigns each token to one expert; k=2 should be 1"},
    {"d=64 f=32 e=8 k=1 router=base capacity=1.25", "leave the capacity out"},
    {"d=64 f=32 e=64 k=64 act=swiglu x=bf16 w=bf16 router=expert_choice capacity=2,switch bias=none",
     NULL},
    {"d=64 f=32 e=64 k=2 router=expert_choice capacity=2,switch", "k=2 should be e=64"},
    {"d=64 f=32 e=8 k=8 router=expert_choice", "as in capacity=2,switch"},
    {"d=64 f=32 e=8 k=8 router=expert_choice capacity=2", "as in capacity=2,switch"},
    {"d=64 f=32 e=8 k=8 router=expert_choice capacity=2,switch priority=gate", "drops nothing"},
    {"d=64 f=32 e=64 k=33", "k=33 is not in 1..32"},
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
