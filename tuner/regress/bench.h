/* bench.h - what a layer takes: each op, the experts, the whole layer; beside a plain pipeline. */
#ifndef MOE_BENCH_H
#define MOE_BENCH_H

#include "measure/meter.h"
#include "report/tradeoff.h"
#include "store/builder.h"
#include "text/progress.h"
#include "tune/session.h"

typedef struct moe_bench_row {
    char layer[MOE_LAYER_TEXT_SIZE];     /* text */
    char region[16];     /* an op's name (experts_kernel for the fused one), "experts" (all behind
                            the router: ids and weights given) or "layer" */
    int64_t tokens;
    char traffic[MOE_TRAFFIC_TEXT_SIZE]; /* text */
    moe_cache cache;
    char system[16];     /* moetune, cublas */
    char what[600];      /* template and config of an op; match of a plan */
    int64_t n;
    double median, mad;  /* ns */
    double tflops, gbps; /* TFLOP/s and GB/s of the least work there is */
    double roofline;     /* share of it, 0..1 */
    double rel_l2, max_over_rms;
    moe_timer timer;
    bool good;           /* the result was right; otherwise there is no time */
    char text[512];      /* what was wrong, or "" */
} moe_bench_row;

typedef struct moe_bench {
    moe_device *device;
    const moe_gen *gen;
    moe_builder *builder;
    moe_db *db; /* NULL: default configs */
    moe_meter meter;
    uint64_t seed;
    moe_progress progress;
    moe_bench_row *row; /* owned */
    int64_t rows, room;
    moe_tradeoff *tradeoff; /* owned; one for each layer, token count and traffic */
    int64_t tradeoffs;
} moe_bench;

/* Times everything of the goal. What runs wrong has a row that says so. */
moe_status moe_bench_goal(moe_bench *bench, const moe_goal *goal);

/* Frees the rows. */
void moe_bench_free(moe_bench *bench);

#endif
