/* label: sim
 * test_neurons.c - single neurons on simulated GPUs: both forms, dtypes, shards, values, widths
 * that no thread count divides, and the same y in any order of blocks. */
#include "fixture.h"
#include "judge/op_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Judged by the reference: y and counts. */
static void check(const char *device, const char *text, int64_t tokens, moe_routing routing,
                  const char *config) {
    fixture f;
    moe_layer layer;
    fixture_kernel kernel;
    moe_op_case *c;
    moe_trial *trial;
    moe_verdict verdict;
    double ns;
    fixture_open(&f, device);
    CHECK(moe_layer_parse(text, &layer));
    moe_op op = moe_op_make(MOE_OP_neurons, &layer, tokens, routing, MOE_CACHE_COLD);
    fixture_compile(&f, "neurons", &op, moe_device_facts(f.device), config, &kernel);
    for (int i = 0; i < kernel.compiled.image.launch.kernels; i++)
        assert_int_equal(kernel.compiled.image.launch.kernel[i].spills, 0);
    CHECK(moe_op_case_open(f.device, &op, 5, &c));
    CHECK(moe_trial_open(c, &kernel.compiled.image, &trial));
    moe_status status = moe_trial_verify(trial, &verdict, &ns);
    if (status || !verdict.ok)
        fail_msg("%s: %s", kernel.what, status ? moe_error_text() : verdict.text);
    moe_trial_close(trial);
    moe_op_case_close(c);
    fixture_kernel_free(&f, &kernel);
    fixture_close(&f);
}

#define EXPERTS "f=1 e=4096 router=peer(2,64,128) "

static void one_kernel(void **state) {
    (void)state;
    check("sim:a100", EXPERTS "d=1000 k=10 act=gelu", 3, MOE_ROUTING_UNIFORM,
          "threads=128 flight=4 split=0");
    check("sim:h100", EXPERTS "d=72 k=2 act=relu2 x=f32", 5, MOE_ROUTING_ONE,
          "threads=128 flight=1 split=0");
    check("sim:h100,seed=4", EXPERTS "d=4104 k=34 act=silu x=f16", 2, MOE_ROUTING_ZIPF,
          "threads=256 flight=8 split=0");
}

static void two_kernels(void **state) {
    (void)state;
    check("sim:h100", EXPERTS "d=2056 k=24 act=gelu_tanh", 1, MOE_ROUTING_UNIFORM,
          "threads=256 flight=2 split=8");
    check("sim:a100", EXPERTS "d=1024 k=62 act=relu x=f32", 3, MOE_ROUTING_EMPTY,
          "threads=128 flight=4 split=16");
    check("sim:h100,seed=9", EXPERTS "d=8 k=4 act=gelu", 65, MOE_ROUTING_UNIFORM,
          "threads=128 flight=1 split=1");
}

static void values(void **state) {
    (void)state;
    check("sim:h100", EXPERTS "d=512 k=64 act=none", 7, MOE_ROUTING_UNIFORM,
          "threads=128 flight=4 split=0");
    check("sim:a100", EXPERTS "d=520 k=32 act=none x=f32", 2, MOE_ROUTING_UNIFORM,
          "threads=256 flight=8 split=4");
}

static void shards(void **state) {
    (void)state;
    check("sim:h100", EXPERTS "d=256 k=32 act=gelu local=1000", 9, MOE_ROUTING_UNIFORM,
          "threads=128 flight=2 split=2");
    check("sim:a100", EXPERTS "d=256 k=32 act=none local=8", 9, MOE_ROUTING_UNIFORM,
          "threads=256 flight=4 split=0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_kernel),
        cmocka_unit_test(two_kernels),
        cmocka_unit_test(values),
        cmocka_unit_test(shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
