/* label: sim */
/* test_layer_draws.c - whole layers whose routers draw at random, pick by a table or are the
 * caller's, in every form. */
#include "layer_forms.h"

#include "core/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SIZES "d=72 f=40 e=8 k=2 router="

static void is_right(const char *device, const char *layer) {
    assert_true(layer_forms_agree(device, layer, layer, 33));
}

/* 16. Switch and flaxformer jitter the router's input alone; transformers' Mixtral jitters in
 * place, so that its experts see it, too. With half of x drawn, one is far from the other. */
static void jitter_is_the_routers_unless_all_is_asked(void **state) {
    (void)state;
    assert_true(layer_forms_differ("sim:h100", SIZES "jitter(0.5,all)>softmax>topk>renorm",
                                   SIZES "jitter(0.5)>softmax>topk>renorm", 7));
}

/* 13. A second expert that does not stay has no row, takes no room, and adds nothing. */
static void second_experts_that_do_not_stay_have_no_row(void **state) {
    (void)state;
    is_right("sim:h100", SIZES "softmax>topk>renorm(1e-9)>second(mesh) capacity=1,gshard");
    is_right("sim:a100", SIZES "softmax>topk>renorm>second(nllb) capacity=2,nllb drop=renorm");
}

static void noise_moves_choices_and_weights(void **state) {
    (void)state;
    is_right("sim:h100", SIZES "noisy>topk>softmax");
}

/* 17 and 18: its tables hold experts twice and numbers that are none. */
static void tables_pick_experts_in_every_form(void **state) {
    enum { ALL = ((1 << MOE_PIPELINE_given) - 1) & ~(1 << MOE_PIPELINE_looked_up),
           FUSED = 1 << MOE_PIPELINE_fused };
    (void)state;
    assert_int_equal(layer_forms_check("sim:a100", SIZES "sqrtsoftplus>hash>renorm>scale(1.5)", 7,
                                       MOE_ROUTING_ZIPF, MOE_ENTRY_LOGITS),
                     ALL & ~FUSED);
}

/* 17 and 18: so do given ids. */
static void given_experts_need_no_router(void **state) {
    enum { STEPS = 1 << MOE_PIPELINE_given, SUMMED = 1 << MOE_PIPELINE_given_summed,
           FUSED = 1 << MOE_PIPELINE_given_fused };
    (void)state;
    assert_int_equal(layer_forms_check("sim:h100", SIZES "given", 7, MOE_ROUTING_UNIFORM,
                                       MOE_ENTRY_GIVEN),
                     STEPS | SUMMED | FUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jitter_is_the_routers_unless_all_is_asked),
        cmocka_unit_test(second_experts_that_do_not_stay_have_no_row),
        cmocka_unit_test(noise_moves_choices_and_weights),
        cmocka_unit_test(tables_pick_experts_in_every_form),
        cmocka_unit_test(given_experts_need_no_router),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
