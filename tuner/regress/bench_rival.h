/* bench_rival.h - the pipeline of library GEMMs that a layer is timed against, where there is a
 * GPU. */
#ifndef MOE_BENCH_RIVAL_H
#define MOE_BENCH_RIVAL_H

#include "judge/layer_case.h"
#include "regress/bench.h"

typedef struct moe_bench_rival moe_bench_rival;

/* Makes the pipeline on the buffers of a case that a plan has just run on, runs it once and judges
 * y into `row`. With `routes`, router GEMM and selection are part of it. *out is NULL, and that is
 * no failure, on a simulated device and where cuBLAS is missing or cannot be used. */
moe_status moe_bench_rival_open(moe_device *device, const moe_layer *layer, int64_t tokens,
                                moe_layer_case *c, bool routes, moe_bench_rival **out,
                                moe_bench_row *row);
void moe_bench_rival_close(moe_bench_rival *rival);

/* Enqueues it once: a moe_work of meter.h. */
moe_status moe_bench_rival_run(void *rival);

#endif
