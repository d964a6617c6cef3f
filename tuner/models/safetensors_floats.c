/* safetensors_floats.c - the elements of tensors as numbers. */
#include "models/safetensors.h"

#include "core/number.h"

#include <string.h>

/* What to do about a type that holds no plain numbers, in order of the first that fits. */
static const struct {
    const char *start; /* of the type's name */
    const char *advice;
} quantised[] = {
    {"F8_E8M0", "holds the scales of a block format (MXFP4 or MXFP8)"},
    {"F8", "is quantised (FP8)"},
    {"F6", "is quantised (MXFP6)"},
    {"F4", "is quantised (MXFP4)"},
    {"U8", "is packed (MXFP4, INT4 or the like)"},
    {"I32", "is packed (INT4 or the like)"},
    {"", "holds no real numbers"},
};

static moe_status not_numbers(const moe_tensor *tensor) {
    const char *type = moe_tensor_type_name(tensor->type);
    size_t row = 0;
    while (strncmp(type, quantised[row].start, strlen(quantised[row].start))) row++;
    return moe_fail(MOE_E_UNSUPPORTED,
                    "tensor '%s' is %s, which %s; convert the model to bf16 first, or take "
                    "a copy of it that was published in bf16",
                    moe_tensor_label_of(tensor->name).text, type, quantised[row].advice);
}

static bool dtype_of(moe_tensor_type type, moe_dtype *out) {
    for (int dtype = 0; dtype < MOE_FLOATS; dtype++) {
        if (moe_tensor_type_of((moe_dtype)dtype) != type) continue;
        *out = (moe_dtype)dtype;
        return true;
    }
    return false;
}

moe_status moe_tensor_dtype(const moe_tensor *tensor, moe_dtype *out) {
    return dtype_of(tensor->type, out) ? MOE_OK : not_numbers(tensor);
}

/* The data may lie at odd addresses, so they pass through a block that does not. */
enum { BLOCK = 512 };

static void load_block(const moe_tensor *tensor, int64_t first, int64_t n, float *out) {
    double block[BLOCK];
    moe_dtype dtype;
    size_t size = moe_tensor_type_size(tensor->type);
    memcpy(block, (const char *)tensor->data + (size_t)first * size, (size_t)n * size);
    if (dtype_of(tensor->type, &dtype)) {
        moe_load_block(dtype, block, 0, n, out);
        return;
    }
    for (int64_t i = 0; i < n; i++) out[i] = (float)block[i];
}

moe_status moe_tensor_floats(const moe_tensor *tensor, int64_t first, int64_t n, float *out) {
    moe_dtype dtype;
    if (tensor->type != MOE_TENSOR_F64 && !dtype_of(tensor->type, &dtype))
        return not_numbers(tensor);
    for (int64_t done = 0; done < n; done += BLOCK)
        load_block(tensor, first + done, n - done < BLOCK ? n - done : BLOCK, out + done);
    return MOE_OK;
}
