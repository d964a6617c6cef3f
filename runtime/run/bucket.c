/* bucket.c - the kernels that serve a layer around one token count. */
#include "run/bucket.h"

static const moe_bucket *nearest(const moe_buckets *buckets, int64_t tokens) {
    const moe_bucket *bucket = buckets->bucket, *last = bucket + buckets->count - 1;
    while (bucket < last && bucket[1].tokens <= tokens) bucket++;
    if (bucket == last || tokens <= bucket->tokens) return bucket;
    /* Between two: T below their geometric mean is nearer to the smaller. */
    double mean = (double)bucket[0].tokens * (double)bucket[1].tokens;
    return (double)tokens * (double)tokens < mean ? bucket : bucket + 1;
}

const moe_bucket *moe_bucket_for(const moe_buckets *buckets, int64_t k, int64_t tokens) {
    const moe_bucket *end = buckets->bucket + buckets->count;
    if (!buckets->count) return NULL;
    const moe_bucket *near = nearest(buckets, tokens);
    int64_t slots = tokens * k;
    for (const moe_bucket *b = near; b < end; b++)
        if (!b->max_slots || slots <= b->max_slots) return b;
    for (const moe_bucket *b = near; b-- > buckets->bucket;)
        if (!b->max_slots || slots <= b->max_slots) return b;
    return NULL;
}

moe_match moe_bucket_match(const moe_bucket *bucket, int64_t tokens) {
    bool near = tokens != bucket->tokens && bucket->match < MOE_MATCH_NEAR_TOKENS;
    return near ? MOE_MATCH_NEAR_TOKENS : bucket->match;
}
