/* run_help.h - what the files of a run hold, for people: the rows of tensor.def as text. */
#ifndef MOE_RUN_HELP_H
#define MOE_RUN_HELP_H

#include "core/text.h"

/* A line for each tensor that an input file holds, then for each of an output file. */
void moe_run_help(moe_text *out);

#endif
