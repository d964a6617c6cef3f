/* label: sim */
/* test_route_rules.c - every choice of a router's rule by the route template on a simulated GPU,
 * from given logits of every kind and from inputs, judged by the reference. */
#include "route_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Each score, weight, group rule, fill and way to select at least once; groups of less than a warp,
 * of several, and across lanes. */
static const char *const layers[] = {
    "e=256 k=8 router=sigmoid+bias>groups(8,4,sum2)>topk>renorm>scale(2.5)",
    "e=160 k=6 router=softmax>groups(8,3,max)>topk>scale(16)",
    "e=60 k=4 router=sigmoid+bias>groups(5,2,sum2,zero)>topk>renorm",
    "e=64 k=6 router=sqrtsoftplus+bias>topk>renorm",
    "e=16 k=2 router=topk>sparsemixer(0.01)",
    "e=40 k=3 router=topk>sparsemixer(0.1)>scale(0.5)",
    "e=16 k=1 router=topk>sigmoid",
    "e=72 k=5 router=topk>scale(0.25)",
    "e=128 k=8 router=sigmoid>topk>renorm(1e-9)",
    "e=96 k=8 router=softmax+bias>groups(32,16,max)>topk>renorm>scale(1.5)",
    "e=33 k=4 router=softmax+bias>topk",
    "e=64 k=4 router=softmax>groups(2,1,sum2)>topk>renorm(1e-20)",
    "e=36 k=4 router=groups(3,1,sum2)>topk>softmax",
    "e=896 k=16 router=sigmoid+bias>groups(1,1,sum2)>topk>renorm>scale(2.827)",
    "e=2048 k=32 router=sqrtsoftplus>groups(32,4,sum2)>topk>renorm",
};

enum { LAYERS = sizeof layers / sizeof *layers };

/* Kernels for few tokens select from slices, those for many from shared memory; they take turns. */
static void every_rule_from_every_source(void **state) {
    (void)state;
    fixture f;
    fixture_open(&f, "sim:h100");
    for (int i = 0; i < LAYERS; i++) {
        char text[160];
        moe_layer layer;
        fixture_kernel kernel;
        snprintf(text, sizeof text, "d=72 f=8 %s", layers[i]);
        route_build(&f, text, i % 2 ? 1 : 4096, "", &layer, &kernel);
        for (int from = 0; from < ROUTE_SOURCES; from++)
            route_check_source(&f, &kernel, &layer, (route_source)from, i % 2 ? 7 : 33);
        fixture_kernel_free(&f, &kernel);
    }
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_from_every_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
