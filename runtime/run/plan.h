/* plan.h - a layer resolved on a device. Private to plan.c, resolve.c, run.c and assemble.c. */
#ifndef MOE_PLAN_H
#define MOE_PLAN_H

#include "device/device.h"
#include "run/db.h"

/* One image on the device. */
typedef struct moe_loaded {
    char hash[MOE_IMAGE_KEY_SIZE];
    moe_launch launch;
    void *module;
} moe_loaded;

/* The kernel of one op in one bucket. */
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
    moe_plan_step step[MOE_STEP_COUNT]; /* in the order of the form's ops */
} moe_bucket;

struct moe_plan {
    moe_device *device;
    moe_layer layer;
    moe_want want;
    int64_t max_tokens; /* 0: no limit */
    moe_match worst;
    moe_bucket *bucket; /* in order of tokens; at least one */
    int buckets;
    moe_loaded *image; /* each distinct image once */
    int images;
    int64_t row_align; /* the largest of any bucket */
};

/* Finds the kernels of every bucket; fills plan->bucket but for what only images tell. */
moe_status moe_plan_resolve(moe_plan *plan, moe_db *db);

/* Loads an image into the next place of plan->image, which must have room; *out gets its number. */
moe_status moe_plan_load(moe_plan *plan, const char *hash, const moe_image *image, int *out);

/* Makes a loaded image serve a step of a bucket, whose form is set. */
moe_status moe_plan_use(moe_plan *plan, moe_bucket *bucket, int step, int image);

/* The bucket for T >= 1 tokens: the nearest in the logarithm of the token count; of two equally
 * near ones the larger. Where its kernels do not serve so many, the next larger one, or else the
 * next smaller one, whose kernels do; NULL if there is none. */
const moe_bucket *moe_plan_bucket(const moe_plan *plan, int64_t tokens);

/* How well the bucket's kernels fit T tokens. */
moe_match moe_bucket_match(const moe_bucket *bucket, int64_t tokens);

/* MOE_E_INVALID unless the plan can run T tokens. */
moe_status moe_plan_check_tokens(const moe_plan *plan, int64_t tokens);

#endif
