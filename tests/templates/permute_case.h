/* permute_case.h - the router and maps in two kernels: routing as exact logits ask for, and every
 * entry of every map as that routing, or given experts, define it. */
#ifndef PERMUTE_CASE_H
#define PERMUTE_CASE_H

#include "map_case.h"
#include "route_case.h"

/* Where the routing comes from. */
typedef enum permute_source {
    PERMUTE_FROM_X,
    PERMUTE_FROM_LOGITS,
    PERMUTE_GIVEN,
} permute_source;

typedef struct permute_case_layer {
    moe_layer layer;
    fixture_kernel kernel;
} permute_case_layer;

/* Builds the template route_permute for a layer's text; free out->kernel. */
void permute_case_build(fixture *f, const char *text, int64_t tokens, const char *config,
                        permute_case_layer *out);

void permute_case_check(fixture *f, permute_case_layer *l, permute_source from,
                        const map_case *c);

/* Every source and pattern in turn, with and without a capacity. */
void permute_case_check_all(fixture *f, permute_case_layer *l, int64_t tokens, bool from_x);

#endif
