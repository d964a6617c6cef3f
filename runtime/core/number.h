/* number.h - the layer's dtypes as numbers: exact loads, correctly rounded stores, blocks of both.
 */
#ifndef MOE_NUMBER_H
#define MOE_NUMBER_H

#include "core/layer.h"

/* Element i of an array of `dtype` as double, and the rounding of a double to `dtype` (to nearest,
 * ties to even), stored. */
double moe_load(moe_dtype dtype, const void *array, int64_t i);
void moe_store(moe_dtype dtype, void *array, int64_t i, double value);

/* The value that `value` has after a store to `dtype`: to nearest, ties to even; infinity beyond
 * the range; NaN stays NaN. */
double moe_round(moe_dtype dtype, double value);

/* Elements first .. first+n of an array as floats, which hold every dtype exactly. */
void moe_load_block(moe_dtype dtype, const void *array, int64_t first, int64_t n, float *out);

/* Stores n floats, rounded to nearest even, from element `first` of an array on. */
void moe_store_block(moe_dtype dtype, void *array, int64_t first, int64_t n, const float *values);

/* Unit roundoff: the largest relative error of a rounding, 2^-8, 2^-11 or 2^-24. */
double moe_unit_roundoff(moe_dtype dtype);

#endif
