/* check.h - judging what a routing or index kernel made.
 *
 * Selection is discontinuous: two logits that differ by less than the error of an fp32 sum may come
 * out in either order, and both orders are right. So a kernel's choice is judged by the reference's
 * logits, and its weights by the rule applied to the kernel's own choice. Index maps are integers
 * and must be exact. */
#ifndef MOE_CHECK_H
#define MOE_CHECK_H

#include "reference.h"
#include "verdict.h"

/* Judges a route kernel against logits [T,e] of the reference and what else its router reads of
 * `in`, which is NULL where it reads nothing: a bias of keys, a seed, a table. `logit_error` is how
 * far the kernel's logits may be off: 0 where it was given them, else moe_logit_tolerance(). Of the
 * rule base, all tokens (then counts are given) are judged by shares and by the sum of their
 * logits. Of product keys each head is judged for itself, by sums of two logits; heads may choose
 * the same. `tolerance` is that of the route op. Every chosen key must reach the k-th best and not
 * exceed the one before it, both within twice its error, which is that of the logits and, where
 * keys are scores, their rounding in fp32; sparsemixer's weights may count either way who is as
 * good as on the limit; a second expert may stay or not where what is drawn is as good as its law;
 * ids from a table are the very same; counts must be exact for the ids. Tokens with a logit that is
 * not finite are held to valid and distinct ids only. MOE_E_MEMORY. */
moe_status moe_check_route(const moe_layer *layer, int64_t tokens, const double *logits,
                           const moe_host_layer *in, double logit_error, double tolerance,
                           const moe_route_result *got, moe_verdict *out);

/* Whether the ids [T,k] of all tokens, which are valid, are spread as the rule asks; for those who
 * know the logits of a few tokens only. */
bool moe_check_all_ids(const moe_layer *layer, int64_t tokens, const int *ids, moe_verdict *out);

/* What a permute kernel wrote. Shapes as in runtime/core/args.def. */
typedef struct moe_maps {
    const int *expert_start, *expert_rows, *row_slots, *slot_rows, *tile_start;
    const int *counts; /* of the experts held (optional) */
    int64_t rows;      /* entries of row_slots */
} moe_maps;

/* Judges index maps made from ids [T,k], as moe_ref_local_ids gives them (and weights [T,k], of
 * priority=gate), under a capacity and a row alignment: starts are multiples
 * of the alignment, in order, with less than `row_align` rows of gap (so there is one right
 * answer); row_slots and slot_rows are inverse to each other, hold exactly the slots that the
 * capacity keeps, each with its expert, and -1 elsewhere; a shared expert's rows are all tokens;
 * tile_start counts each expert's tiles. The order of an expert's rows is free. */
moe_status moe_check_maps(const moe_layer *layer, int64_t tokens, int64_t row_align, const int *ids,
                          const float *weights, const moe_maps *got, moe_verdict *out);

#endif
