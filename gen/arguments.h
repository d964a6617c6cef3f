/* arguments.h - the arguments of an op's kernels as CUDA text. */
#ifndef GEN_ARGUMENTS_H
#define GEN_ARGUMENTS_H

#include "core/args.h"

enum { GEN_ARGUMENTS_SIZE = 2048 };

/* Writes "struct args_<op> { ... };" without a final line break, with `maps` tensor maps in front.
 * The types XT and WT, and tensor_map where there are maps, must be declared before it. `text`
 * holds GEN_ARGUMENTS_SIZE bytes. */
void gen_arguments_print(moe_op_kind kind, int64_t maps, char *text, size_t size);

#endif
