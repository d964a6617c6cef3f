/* label: sim
 * test_layer_peer.c - layers of single neurons, found by product keys: whole, of values, and a
 * shard. */
#include "layer_forms.h"

#include "core/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LOOKED_UP = 1 << MOE_PIPELINE_looked_up };

static void neurons(void **state) {
    const char *layer = "d=72 f=1 e=1024 k=24 act=gelu router=peer(2,32,128) bias=router";
    (void)state;
    assert_int_equal(layer_forms_check("sim:h100", layer, 7, MOE_ROUTING_UNIFORM, MOE_ENTRY_ROUTER),
                     LOOKED_UP);
    assert_int_equal(layer_forms_check("sim:a100", layer, 7, MOE_ROUTING_ZIPF, MOE_ENTRY_LOGITS),
                     LOOKED_UP);
    assert_int_equal(layer_forms_check("sim:h100", layer, 64, MOE_ROUTING_ONE, MOE_ENTRY_GIVEN),
                     LOOKED_UP);
}

static void values(void **state) {
    const char *layer = "d=64 f=1 e=576 k=12 act=none x=f32 router=peer(3,24,128)";
    (void)state;
    assert_int_equal(
        layer_forms_check("sim:a100", layer, 64, MOE_ROUTING_UNIFORM, MOE_ENTRY_ROUTER), LOOKED_UP);
}

/* Neurons of other devices add nothing; the first of ours is number 450. */
static void a_shard(void **state) {
    const char *layer = "d=64 f=1 e=1024 k=16 act=relu x=f16 router=peer(4,32,128) local=124";
    (void)state;
    assert_int_equal(layer_forms_check("sim:h100", layer, 7, MOE_ROUTING_UNIFORM, MOE_ENTRY_ROUTER),
                     LOOKED_UP);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(neurons), cmocka_unit_test(values),
                                       cmocka_unit_test(a_shard)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
