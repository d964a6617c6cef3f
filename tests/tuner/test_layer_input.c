/* label: sim
 * test_layer_input.c - whole layers whose router weighs the experts' input, in every form. */
#include "layer_forms.h"

#include "core/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ALL = ((1 << MOE_PIPELINE_given) - 1) & ~(1 << MOE_PIPELINE_looked_up),
       FUSED = 1 << MOE_PIPELINE_fused };

/* Behind a gate, weighing x is not weighing y: a kernel that did the latter would be far off. */
static void the_weight_multiplies_the_input(void **state) {
    (void)state;
    const char *layer = "d=72 f=80 e=8 k=2 act=swiglu router=topk>softmax>input";
    assert_int_equal(layer_forms_check("sim:h100", layer, 7, MOE_ROUTING_UNIFORM, MOE_ENTRY_ROUTER),
                     ALL);
    assert_int_equal(layer_forms_check("sim:a100", layer, 7, MOE_ROUTING_UNIFORM, MOE_ENTRY_GIVEN),
                     ALL & ~FUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_weight_multiplies_the_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
