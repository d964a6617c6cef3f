/* label: sim */
/* test_route_rules.c - every choice of a router's rule by the route template on a simulated GPU, from
 * given logits of every kind and from inputs, judged by the reference. */
#include "check.h"
#include "random.h"
#include "route_case.h"
#include "tolerance.h"
#include "workload.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Each score, weight, group rule, fill and way to select at least once; groups of less than a warp, of
 * several, and across lanes. */
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

typedef enum source { NORMAL, TIES, NOT_FINITE, FROM_X, SOURCES } source;

static void fill_logits(source from, int64_t n, float *logits) {
    static const float specials[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e30f};
    moe_random random = moe_random_stream(7, from);
    moe_random_normal(moe_random_stream(8, from), MOE_F32, logits, n, 3);
    for (int64_t i = 0; i < n; i++) {
        uint64_t any = moe_random_bits(random, (uint64_t)i);
        if (from == TIES) logits[i] = (float)(int)(any % 4) - 2;
        if (from == NOT_FINITE) logits[i] = specials[any % 6];
    }
}

/* Logits that are not finite leave the choice open, but it has weights that are numbers. */
static void check_weights_are_numbers(const route_case *r) {
    for (int64_t s = 0; s < r->tokens * r->layer->k; s++)
        if (isnan(r->weights[s])) fail_msg("%s: weights[%lld] is NaN", r->kernel->what, (long long)s);
}

static void judge(const route_case *r, const double *logits, double logit_error) {
    const moe_route_result got = {r->ids, r->weights, r->counts, r->prob_sums, NULL};
    moe_verdict verdict;
    CHECK(moe_check_route(r->layer, r->tokens, logits, r->router_bias, logit_error,
                          moe_op_tolerance(&r->kernel->op), &got, &verdict));
    if (!verdict.ok) fail_msg("%s, T=%lld: %s", r->kernel->what, (long long)r->tokens, verdict.text);
    check_weights_are_numbers(r);
}

static void check_source(fixture *f, fixture_kernel *kernel, const moe_layer *layer, source from,
                         int64_t tokens) {
    moe_workload inputs;
    route_case r;
    CHECK(moe_workload_init(&inputs, layer, tokens, MOE_ROUTING_UNIFORM, 5,
                            MOE_MAKE_X | MOE_MAKE_ROUTER | MOE_MAKE_LOGITS));
    moe_host_layer host = moe_workload_host(&inputs);
    double *logits = route_room((size_t)(tokens * layer->e), sizeof *logits);
    route_case_make(&r, kernel, layer, tokens);
    r.router_bias = inputs.router_bias;
    if (from == FROM_X) {
        host.logits = NULL;
        r.x = inputs.x, r.router_weight = inputs.router_weight;
    } else {
        fill_logits(from, tokens * layer->e, inputs.logits);
        r.logits = inputs.logits;
        if (from == NOT_FINITE && inputs.router_bias) inputs.router_bias[layer->e / 2] = NAN;
    }
    CHECK(moe_ref_logits(layer, tokens, &host, logits));
    route_case_run(f, &r);
    judge(&r, logits, from == FROM_X ? moe_logit_tolerance(layer) : 0);
    route_case_free(&r);
    free(logits);
    moe_workload_free(&inputs);
}

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
        for (int from = 0; from < SOURCES; from++)
            check_source(&f, &kernel, &layer, (source)from, i % 2 ? 7 : 33);
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
