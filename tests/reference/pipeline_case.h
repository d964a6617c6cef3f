/* pipeline_case.h - the library pipeline on any device against the reference: index maps, strides,
 * kernels and rounding points, for every activation, dtype and rule. */
#ifndef PIPELINE_CASE_H
#define PIPELINE_CASE_H

#include "cublas_pipeline.h"

/* What the tests below run on. Both must stay. */
void pipeline_case_use(moe_device *device, const moe_gemm *gemm);

/* cmocka tests. */
void pipeline_experts_agree(void **state);
void pipeline_routing_agrees(void **state);
void pipeline_empty_batch(void **state);

/* Elements of a device array on the host, to be freed. */
void *pipeline_copy_out(moe_ptr from, int64_t n, moe_dtype dtype);

#endif
