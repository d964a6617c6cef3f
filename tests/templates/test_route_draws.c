/* label: sim */
/* test_route_draws.c - routers that draw at random or pick by a table, by the route template on
 * simulated GPUs: from inputs and from given logits, with a seed and without, judged by the
 * reference. */
#include "route_case.h"
#include "tolerance.h"
#include "workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Kernels for few tokens select from slices, those for many from shared memory. */
static const struct {
    const char *device, *layer;
    int64_t tuned, tokens;
} cases[] = {
    {"sim:h100", "d=72 e=40 k=4 router=noisy>topk>softmax", 1, 7},
    {"sim:a100", "d=72 e=40 k=4 router=noisy(0.1)>softmax>topk bias=router", 4096, 33},
    {"sim:h100", "d=136 e=300 k=3 x=f32 router=noisy>sigmoid+bias>groups(4,2,sum2)>topk>renorm",
     4096, 9},
    {"sim:h100", "d=136 e=24 k=2 router_dtype=f32 router=jitter(0.01)>noisy>topk>softmax", 4096,
     17},
    {"sim:h100", "d=72 e=16 k=1 router=jitter(0.01)>softmax>topk", 4096, 33},
    {"sim:a100", "d=1032 e=16 k=2 x=f16 router=jitter(0.5,all)>softmax>topk>renorm", 1, 5},
    {"sim:a100", "d=72 e=64 k=2 x=f32 router=jitter(0.25)>topk>sigmoid", 4096, 9},
    {"sim:h100", "d=72 e=16 k=2 router=softmax>topk>renorm(1e-9)>second(mesh)", 4096, 300},
    {"sim:a100", "d=72 e=16 k=2 router=softmax>topk>renorm>second(nllb)", 1, 300},
    {"sim:h100", "d=72 e=16 k=2 router=softmax>topk>renorm>second(paper)", 1, 300},
    {"sim:a100", "d=72 e=257 k=2 router=noisy>softmax>topk>renorm(1e-9)>second(paper)", 4096, 40},
    {"sim:h100", "d=72 e=64 k=6 router=sqrtsoftplus>hash>renorm>scale(1.5)", 4096, 70},
    {"sim:a100", "d=72 e=40 k=3 router=softmax>hash", 1, 20},
    {"sim:h100", "d=72 e=40 k=3 router=softmax>hash>renorm", 1, 20},
    {"sim:a100", "d=72 e=16 k=2 router=hash>softmax>scale(2)", 4096, 20},
    {"sim:h100", "d=72 e=16 k=2 router=hash>sigmoid bias=router", 4096, 20},
};

/* What the router took for x is the reference's, bit by bit. */
static void check_jitter(const route_case *r, const moe_host_layer *in) {
    const moe_layer *layer = r->layer;
    size_t bytes = (size_t)(r->tokens * layer->d) * moe_dtype_size(layer->x);
    void *want = route_room(bytes, 1);
    float *row = route_room((size_t)layer->d, sizeof *row);
    moe_ref_jittered(layer, r->tokens, in, want, row);
    if (memcmp(r->jittered, want, bytes)) fail_msg("%s: x is not jittered right", r->kernel->what);
    assert_memory_not_equal(want, in->x, bytes);
    free(want);
    free(row);
}

static void run(fixture *f, fixture_kernel *kernel, const moe_layer *layer, int64_t tokens,
                const moe_host_layer *in) {
    double *logits = route_room((size_t)(tokens * layer->e), sizeof *logits);
    route_case r;
    route_case_make(&r, kernel, layer, tokens);
    r.x = in->x, r.router_weight = in->router_weight, r.router_noise = in->router_noise;
    r.router_bias = in->router_bias, r.logits = in->logits, r.seed = in->seed;
    r.token_ids = in->token_ids, r.expert_table = in->expert_table, r.vocab = (int)in->vocab;
    bool jitters = layer->router.jitter_input && in->seed;
    if (jitters)
        r.jittered = route_room((size_t)(tokens * layer->d), moe_dtype_size(layer->x));
    route_case_run(f, &r);
    CHECK(moe_ref_logits(layer, tokens, in, logits));
    route_case_judge(&r, logits, in->logits ? 0 : moe_logit_tolerance(layer));
    if (jitters) check_jitter(&r, in);
    free(logits);
    free(r.jittered);
    route_case_free(&r);
}

/* From x with a seed and without one, and from given logits. */
static void check_case(fixture *f, const char *text, int64_t tuned, int64_t tokens) {
    char whole[192];
    moe_layer layer;
    fixture_kernel kernel;
    moe_workload work;
    snprintf(whole, sizeof whole, "f=8 %s", text);
    route_build(f, whole, tuned, "", &layer, &kernel);
    CHECK(moe_workload_init(&work, &layer, tokens, MOE_ROUTING_UNIFORM, 5,
                            MOE_MAKE_X | MOE_MAKE_ROUTER | MOE_MAKE_LOGITS));
    moe_host_layer in = moe_workload_host(&work);
    run(f, &kernel, &layer, tokens, &in);
    in.logits = NULL;
    run(f, &kernel, &layer, tokens, &in);
    in.seed = NULL;
    run(f, &kernel, &layer, tokens, &in);
    moe_workload_free(&work);
    fixture_kernel_free(f, &kernel);
}

static void check_device(const char *device) {
    fixture f;
    fixture_open(&f, device);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!strcmp(cases[i].device, device))
            check_case(&f, cases[i].layer, cases[i].tuned, cases[i].tokens);
    fixture_close(&f);
}

static void on_h100(void **state) {
    (void)state;
    check_device("sim:h100");
}

static void on_a100(void **state) {
    (void)state;
    check_device("sim:a100");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_h100), cmocka_unit_test(on_a100)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
