/* merge.h - experts of a safetensors file averaged into one. */
#ifndef MOE_MERGE_H
#define MOE_MERGE_H

#include "models/safetensors.h"

enum { MOE_MAX_MIX = MOE_MAX_EXPERTS };

/* Numbers with commas between. MOE_E_PARSE, MOE_E_INVALID (more than MOE_MAX_MIX). */
moe_status moe_mix_parse(const char *text, double *mix, int64_t *count);

/* Averages every tensor `experts.*` [n,...] of a file over its n experts by the mix, and writes
 * them, [1,...], under their names to another: a layer of one expert. MOE_E_NOT_FOUND (the file has
 * none), MOE_E_INVALID (of other experts than the mix, or a mix of no average), MOE_E_UNSUPPORTED
 * (not of BF16, F16 or F32), and what files and memory say. */
moe_status moe_merge_file(const char *from, const double *mix, int64_t n, const char *to);

#endif
