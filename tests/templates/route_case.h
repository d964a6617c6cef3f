/* route_case.h - one run of the route template and its exact result, for tests. */
#ifndef ROUTE_CASE_H
#define ROUTE_CASE_H

#include "fixture.h"

/* Host inputs, NULL where unused, and what came back. */
typedef struct route_case {
    fixture_kernel *kernel;
    const moe_layer *layer;
    int64_t tokens;
    const void *x, *router_weight;
    const float *router_bias, *logits;
    const void *router_noise;
    const int *token_ids, *expert_table; /* [T], [vocab,k] */
    int vocab;
    const uint64_t *seed;
    void *jittered;                /* [T,d], room for what the router took for x */
    bool statistics;               /* counts and sums are asked for; true unless changed */
    int *ids, *counts;             /* [T,k], [e] */
    float *weights;                /* [T,k] */
    unsigned long long *prob_sums; /* [e] */
    unsigned long long *loss_sums; /* [3e+2] */
} route_case;

/* Zeroed memory, or the test fails. */
void *route_room(size_t count, size_t size);

/* Renders, compiles and loads a router's template, or the template `route`, for a layer's text. */
void route_build_by(fixture *f, const char *template, const char *layer_text, int64_t tokens,
                    const char *config, moe_layer *layer, fixture_kernel *kernel);
void route_build(fixture *f, const char *layer_text, int64_t tokens, const char *config,
                 moe_layer *layer, fixture_kernel *kernel);

void route_case_make(route_case *r, fixture_kernel *kernel, const moe_layer *layer,
                     int64_t tokens);
void route_case_free(route_case *r);

void route_case_run(fixture *f, route_case *r);

/* Fails the test unless the result is that of the exact logits [T,e]: the very same experts,
 * counts, and within fp32 roundings the weights and sums. */
void route_case_check(const route_case *r, const double *logits);

/* The same where logits may be off by some error, by the reference's judge, for every rule. */
void route_case_judge(const route_case *r, const double *logits, double logit_error);

/* Routes x and weights of small integers, so that logits are exact in every dtype and there is one
 * right choice, ties and all. */
void route_check_integers(fixture *f, fixture_kernel *kernel, const moe_layer *layer,
                          int64_t tokens);

/* Where a router's logits come from: given ones of some kind, or x and weights. */
typedef enum route_source {
    ROUTE_NORMAL,
    ROUTE_TIES,
    ROUTE_NOT_FINITE,
    ROUTE_FROM_X,
    ROUTE_SOURCES
} route_source;

/* Routes logits of that kind, judged by the reference. */
void route_check_source(fixture *f, fixture_kernel *kernel, const moe_layer *layer,
                        route_source from, int64_t tokens);

#endif
