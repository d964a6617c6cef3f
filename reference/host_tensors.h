/* host_tensors.h - what callers of a layer give, as arrays of the host: a member for each row of
 * tensor.def that is read, of its C type. */
#ifndef MOE_HOST_TENSORS_H
#define MOE_HOST_TENSORS_H

#include "core/tensor.h"

/* The C type of an element; void where it is the layer's own. */
#define MOE_HOST_X void
#define MOE_HOST_W void
#define MOE_HOST_R void
#define MOE_HOST_F32 float
#define MOE_HOST_I32 int
#define MOE_HOST_U64 uint64_t

/* MOE_READ(dtype, name) of each tensor that is read, and nothing of the others. */
#define MOE_READ_INPUT(dtype, name) MOE_READ(dtype, name)
#define MOE_READ_WEIGHT(dtype, name) MOE_READ(dtype, name)
#define MOE_READ_BIAS(dtype, name) MOE_READ(dtype, name)
#define MOE_READ_OUTPUT(dtype, name)
#define MOE_READ_SCRATCH(dtype, name)
#define MOE_READ_ROW(name, role, dtype, ...) MOE_READ_##role(dtype, name)

#endif
