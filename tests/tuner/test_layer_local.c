/* label: sim
 * test_layer_local.c - a device's share of a layer's experts, in every form. */
#include "layer_forms.h"

#include "core/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ALL = ((1 << MOE_PIPELINE_given) - 1) & ~(1 << MOE_PIPELINE_looked_up),
       FUSED = 1 << MOE_PIPELINE_fused };

/* Experts of other devices add nothing, and take no room; the first of ours is number 6. */
static void experts_of_others_are_skipped(void **state) {
    (void)state;
    const char *layer = "d=72 f=40 e=16 k=4 act=swiglu capacity=0.75 local=4";
    assert_int_equal(layer_forms_check("sim:h100", layer, 7, MOE_ROUTING_UNIFORM, MOE_ENTRY_ROUTER),
                     ALL);
    assert_int_equal(layer_forms_check("sim:a100", layer, 7, MOE_ROUTING_ZIPF, MOE_ENTRY_GIVEN),
                     ALL & ~FUSED);
}

/* Each device cuts its own experts' rows; the gate makes maps of ids, step by step. */
static void shards_keep_rows_of_the_largest_weights(void **state) {
    (void)state;
    const char *layer = "d=72 f=40 e=16 k=4 act=swiglu capacity=0.5 priority=gate local=4";
    assert_int_equal(layer_forms_check("sim:h100", layer, 64, MOE_ROUTING_ZIPF, MOE_ENTRY_ROUTER),
                     1 << MOE_PIPELINE_separate | 1 << MOE_PIPELINE_summed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(experts_of_others_are_skipped),
                                       cmocka_unit_test(shards_keep_rows_of_the_largest_weights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
