/* workspace.h - what a run of T tokens keeps in device memory, and where: the tensors of tensor.def
 * that are the workspace's own or stand in for a caller's, in that order. */
#ifndef MOE_WORKSPACE_H
#define MOE_WORKSPACE_H

#include "core/args.h"

enum { MOE_WORKSPACE_ALIGN = 256 };

/* The most rows that T tokens can fill: R = T*k slots, or what the capacity keeps of them, and up
 * to align-1 rows of gap behind each expert that has any; and T for each shared one. Grows with T
 * and align (workspace_rows.c). */
int64_t moe_workspace_rows(const moe_layer *layer, int64_t tokens, int64_t align);

/* Lays the arrays out from address `base`, which may be 0, and writes their addresses into `values`
 * (may be NULL). Returns the bytes used: the scratch begins there. Grows with T and align. */
int64_t moe_workspace_layout(const moe_layer *layer, int64_t tokens, int64_t align, uint64_t base,
                             moe_arg_values *values);

#endif
