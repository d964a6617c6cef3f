/* bucket.h - the kernels that serve a layer around one token count. */
#ifndef MOE_BUCKET_H
#define MOE_BUCKET_H

#include "run/db.h"

/* The kernel of one step in one bucket. */
typedef struct moe_plan_step {
    moe_row row;
    moe_origin origin; /* of the evidence: the row, or the whole pipeline it was timed in */
    moe_match match;   /* at the bucket's token count */
    int image;         /* in moe_plan.image */
} moe_plan_step;

/* The kernels for token counts around `tokens`. */
typedef struct moe_bucket {
    int64_t tokens;
    moe_match match;   /* the worst of its steps' */
    int64_t row_align; /* the largest that its kernels need; a power of two */
    int64_t max_slots; /* the most that its kernels serve; 0: any number */
    const moe_pipeline_info *form;
    moe_plan_step step[MOE_PIPELINE_STEPS]; /* by the form's steps; a collective's is 0 */
} moe_bucket;

/* In order of tokens. */
typedef struct moe_buckets {
    moe_bucket *bucket; /* owned */
    int count;
} moe_buckets;

/* The bucket for T >= 1 tokens of k slots each: the nearest in the logarithm of the token count; of
 * two equally near ones the larger. Where its kernels do not serve so many, the next larger one, or
 * else the next smaller one, whose kernels do; NULL if there is none. */
const moe_bucket *moe_bucket_for(const moe_buckets *buckets, int64_t k, int64_t tokens);

/* How well the bucket's kernels fit T tokens. */
moe_match moe_bucket_match(const moe_bucket *bucket, int64_t tokens);

#endif
