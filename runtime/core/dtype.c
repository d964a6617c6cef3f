/* dtype.c - types of elements: one row of facts each. */
#include "core/dtype.h"

const moe_dtype_info moe_dtype_table[MOE_DTYPE_COUNT] = {
#define MOE_DTYPE(constant, text, width, error, type, speed, kind)                                 \
    [MOE_##constant].name = text, [MOE_##constant].bits = width,                                   \
    [MOE_##constant].roundoff = error, [MOE_##constant].cuda = type,                               \
    [MOE_##constant].rate = speed,
#define MOE_DTYPE_NAMES(constant, map, blas, ptx, file, word) [MOE_##constant].config = word,
#include "core/dtype.def"
#undef MOE_DTYPE_NAMES
#undef MOE_DTYPE
};

const char *const moe_dtype_names[MOE_DTYPE_COUNT + 1] = {
#define MOE_DTYPE(constant, text, bits, roundoff, cuda, rate, kind) [MOE_##constant] = text,
#include "core/dtype.def"
#undef MOE_DTYPE
};

#define FLOAT(constant, text) [MOE_##constant] = text,
#define STORED(constant, text)
#define OTHER(constant, text)
const char *const moe_float_names[MOE_FLOATS + 1] = {
#define MOE_DTYPE(constant, text, bits, roundoff, cuda, rate, kind) kind(constant, text)
#include "core/dtype.def"
#undef MOE_DTYPE
};
#undef OTHER
#undef STORED

#define STORED(constant, text) [MOE_##constant] = text,
#define OTHER(constant, text) [MOE_##constant] = "",
const char *const moe_stored_names[MOE_DTYPE_COUNT + 1] = {
#define MOE_DTYPE(constant, text, bits, roundoff, cuda, rate, kind) kind(constant, text)
#include "core/dtype.def"
#undef MOE_DTYPE
};
#undef OTHER
#undef STORED
#undef FLOAT

int64_t moe_dtype_bytes(moe_dtype dtype, int64_t count) {
    return (count * moe_dtype_table[dtype].bits + 7) / 8;
}

size_t moe_dtype_size(moe_dtype dtype) { return (size_t)moe_dtype_bytes(dtype, 1); }

const char *moe_dtype_text(moe_dtype dtype) {
    return (unsigned)dtype < MOE_DTYPE_COUNT ? moe_dtype_names[dtype] : "none";
}
