/* plan.h - a layer resolved on a device: its kernels, loaded. Private to runtime/run, but for tools
 * that look into plans. */
#ifndef MOE_PLAN_H
#define MOE_PLAN_H

#include "device/device.h"
#include "run/resolve.h"

/* One image on the device. */
typedef struct moe_loaded {
    char hash[MOE_IMAGE_KEY_SIZE];
    moe_launch launch;
    void *module;
} moe_loaded;

struct moe_plan {
    moe_device *device;
    moe_ask ask;
    moe_buckets buckets; /* at least one */
    moe_loaded *image;   /* each distinct image once */
    int images;
    int64_t row_align; /* the largest of any bucket */
};

/* Loads an image into the next place of plan->image, which must have room; *out gets its number. */
moe_status moe_plan_load(moe_plan *plan, const char *hash, const moe_image *image, int *out);

/* Makes a loaded image serve a step of a bucket, whose form is set. */
moe_status moe_plan_use(moe_plan *plan, moe_bucket *bucket, int step, int image);

/* The bucket that serves T >= 1 tokens; NULL if none does. */
const moe_bucket *moe_plan_bucket(const moe_plan *plan, int64_t tokens);

/* MOE_E_INVALID unless the plan can run T tokens. */
moe_status moe_plan_check_tokens(const moe_plan *plan, int64_t tokens);

/* The most bytes of scratch that a step of the bucket needs; the steps share one region. */
int64_t moe_plan_scratch(const moe_plan *plan, const moe_bucket *bucket, int64_t tokens);

#endif
