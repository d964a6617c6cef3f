/* bind.h - from the caller's pointers to kernel arguments. */
#ifndef MOE_BIND_H
#define MOE_BIND_H

#include "core/args.h"

/* Writes the pointers of `io` over the workspace's in `values`. A pointer that this run has no use
 * for becomes 0. MOE_E_INVALID names a pointer that is NULL or not aligned as its kernels need. */
moe_status moe_bind(const moe_layer *layer, const moe_io *io, moe_arg_values *values);

#endif
