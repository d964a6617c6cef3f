/* label: sim
 * test_layer_shared.c - whole layers with a shared expert, in every form that knows one. */
#include "layer_forms.h"

#include "core/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { STEPS = 1 << MOE_PIPELINE_separate | 1 << MOE_PIPELINE_mapped };

/* Qwen2-MoE, Qwen3-Next: times sigmoid(x . gate). It is two experts wide, and no capacity drops
 * it. */
static void the_output_has_a_gate(void **state) {
    (void)state;
    const char *layer = "d=72 f=40 e=8 k=2 act=swiglu capacity=0.5 shared=80,gated";
    assert_int_equal(layer_forms_check("sim:h100", layer, 7, MOE_ROUTING_ZIPF, MOE_ENTRY_ROUTER),
                     STEPS);
    assert_int_equal(layer_forms_check("sim:a100", layer, 7, MOE_ROUTING_ONE, MOE_ENTRY_GIVEN),
                     STEPS);
}

/* DeepSeek adds it plain; Llama-4's weights multiply the input of chosen experts only. */
static void the_output_is_added_plain(void **state) {
    (void)state;
    const char *layer = "d=72 f=40 e=8 k=1 act=swiglu_clamp(7,1.702) router=topk>softmax>input "
                        "layout=interleaved shared=120";
    assert_int_equal(layer_forms_check("sim:h100", layer, 7, MOE_ROUTING_UNIFORM, MOE_ENTRY_ROUTER),
                     STEPS);
}

/* The kernels for many tokens, which copy by boxes. */
static void many_tokens(void **state) {
    (void)state;
    const char *layer = "d=72 f=40 e=8 k=2 act=swiglu local=4 shared=120,gated";
    assert_int_equal(layer_forms_check("sim:h100", layer, 8192, MOE_ROUTING_ONE, MOE_ENTRY_GIVEN),
                     STEPS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_output_has_a_gate),
        cmocka_unit_test(the_output_is_added_plain),
        cmocka_unit_test(many_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
