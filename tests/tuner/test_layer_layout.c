/* label: sim
 * test_layer_layout.c - whole layers whose gate and up rows stand in each order, in every form. */
#include "layer_forms.h"

#include "core/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ALL = ((1 << MOE_PIPELINE_given) - 1) & ~(1 << MOE_PIPELINE_looked_up),
       FUSED = 1 << MOE_PIPELINE_fused };

#define LAYER "d=72 f=80 e=8 k=2 act=swiglu_clamp(7,1.702) router=topk>softmax bias=router,up,down "

/* gpt-oss: even rows are gates, biases everywhere, the down bias inside the weight. */
static void interleaved_rows(void **state) {
    (void)state;
    const char *layer = LAYER "layout=interleaved";
    assert_int_equal(layer_forms_check("sim:h100", layer, 7, MOE_ROUTING_UNIFORM, MOE_ENTRY_ROUTER),
                     ALL);
    assert_int_equal(layer_forms_check("sim:a100", layer, 7, MOE_ROUTING_UNIFORM, MOE_ENTRY_GIVEN),
                     ALL & ~FUSED);
}

/* A wrong order of halves gives plausible garbage: the check must see it. */
static void a_wrong_order_fails(void **state) {
    (void)state;
    assert_false(layer_forms_agree("sim:a100", LAYER "layout=up_gate", LAYER, 7));
    assert_true(layer_forms_agree("sim:a100", LAYER "layout=up_gate", LAYER "layout=up_gate", 7));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interleaved_rows),
        cmocka_unit_test(a_wrong_order_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
