/* cublas_pipeline.h - a whole layer on a device by library GEMMs: what a careful engineer writes
 * first, and what tuned kernels are measured against.
 *
 *     gather rows -> one GEMM an expert -> activation -> one GEMM an expert -> weighted sum
 *
 * The host must know which rows an expert has, so a pipeline is made for the ids of one batch. A
 * real one would copy them from the device in the middle of every run; this one is spared that
 * wait, which makes it a faster rival than it could be. Rounding: every intermediate is in the
 * layer's dtype, sums are fp32. */
#ifndef MOE_CUBLAS_PIPELINE_H
#define MOE_CUBLAS_PIPELINE_H

#include "core/image.h"
#include "cublas.h"

/* The caller's compiler. The image must stay until the pipeline is made. */
typedef struct moe_text_compiler {
    void *self;
    moe_status (*compile)(void *self, const char *name, const char *text, const char *arch,
                          moe_image *out);
} moe_text_compiler;

/* Device pointers of one run, shaped as in moe_io. ids and weights are inputs, or outputs where the
 * run routes; router_weight and logits matter only there (logits 0: the router GEMM makes them). */
typedef struct moe_pipeline_io {
    moe_ptr x, router_weight, router_bias, logits, up, up_bias, down, down_bias;
    moe_ptr ids, weights, y;
} moe_pipeline_io;

typedef struct moe_cublas_pipeline moe_cublas_pipeline;

/* Prepares runs of T tokens with these ids [T,k] (host memory) under the layer's capacity: index
 * maps, buffers and the kernels between the GEMMs. The pipeline uses `gemm` and `device`, which
 * must stay, but does not own them. MOE_E_UNSUPPORTED (shared
 * experts, shards), MOE_E_COMPILE, MOE_E_DEVICE, MOE_E_MEMORY. */
moe_status moe_cublas_pipeline_create(moe_device *device, const moe_layer *layer, int64_t tokens,
                                      const int *ids, const moe_gemm *gemm,
                                      const moe_text_compiler *compiler, moe_cublas_pipeline **out);
void moe_cublas_pipeline_destroy(moe_cublas_pipeline *pipeline);

/* Enqueues the experts on a stream; with `route` also router GEMM and selection before them, which
 * write ids and weights (the rows stay those that the pipeline was made for). Does not wait. */
moe_status moe_cublas_pipeline_run(const moe_cublas_pipeline *pipeline, const moe_pipeline_io *io,
                                   bool route, void *stream);

#endif
