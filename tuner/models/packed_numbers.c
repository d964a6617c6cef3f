/* packed_numbers.c - a tensor's elements as numbers, plain or in blocks that share a factor. */
#include "models/packed_numbers.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 128, MX_BLOCK = 32, NAME_SIZE = MOE_SCALES_NAME_SIZE };

/* One form. A run is elements that lie together in one block. */
struct moe_packing {
    moe_tensor_type type;
    const char *end, *scales_end; /* of the tensor's name; what its scales have instead */
    bool (*shape)(moe_numbers *numbers);
    int64_t (*run)(const moe_numbers *numbers, int64_t first);
    moe_status (*read)(const moe_numbers *numbers, int64_t first, int64_t n, float *out);
};

static int64_t blocks(int64_t n, int64_t of) { return (n + of - 1) / of; }

static unsigned char byte_at(const moe_tensor *tensor, int64_t i) {
    return ((const unsigned char *)tensor->data)[i];
}

/* ---------------------------------------------------------------------------------------- FP8 */

static bool fp8_shape(moe_numbers *numbers) {
    const moe_tensor *t = &numbers->tensor, *s = numbers->scales;
    return t->rank == 2 && s->rank == 2 && s->shape[0] == blocks(t->shape[0], SIDE) &&
           s->shape[1] == blocks(t->shape[1], SIDE);
}

static int64_t fp8_run(const moe_numbers *numbers, int64_t first) {
    int64_t columns = numbers->tensor.shape[1], column = first % columns;
    int64_t end = (column / SIDE + 1) * SIDE;
    return (end < columns ? end : columns) - column;
}

/* Sign, 4 bits of exponent with bias 7, 3 of mantissa; no infinity, and one NaN of each sign. */
static float e4m3(unsigned char bits) {
    int exponent = bits >> 3 & 15, mantissa = bits & 7;
    float value = exponent ? ldexpf((float)(8 + mantissa), exponent - 10)
                           : ldexpf((float)mantissa, -9);
    if ((bits & 127) == 127) value = NAN;
    return bits & 128 ? -value : value;
}

/* NaN among weights would spread over all of y. */
static moe_status no_number(const moe_numbers *numbers, int64_t at) {
    return moe_fail(MOE_E_CORRUPT, "tensor '%s' holds a NaN: element %" PRId64 ", or its scale",
                    moe_tensor_label_of(numbers->tensor.name).text, at);
}

static moe_status fp8_read(const moe_numbers *numbers, int64_t first, int64_t n, float *out) {
    int64_t columns = numbers->tensor.shape[1];
    int64_t row = first / columns, column = first % columns;
    float scale;
    MOE_TRY(moe_tensor_floats(numbers->scales,
                              row / SIDE * blocks(columns, SIDE) + column / SIDE, 1, &scale));
    for (int64_t i = 0; i < n; i++) {
        out[i] = e4m3(byte_at(&numbers->tensor, first + i)) * scale;
        if (isnan(out[i])) return no_number(numbers, first + i);
    }
    return MOE_OK;
}

/* -------------------------------------------------------------------------------------- MXFP4 */

/* Two numbers a byte, 16 bytes a block: the last dimension of the bytes becomes 32 numbers. */
static bool mx_shape(moe_numbers *numbers) {
    moe_tensor *t = &numbers->tensor;
    const moe_tensor *s = numbers->scales;
    if (t->rank < 2 || t->shape[t->rank - 1] != MX_BLOCK / 2 || s->type != MOE_TENSOR_U8 ||
        s->rank != t->rank - 1 || memcmp(s->shape, t->shape, (size_t)s->rank * sizeof *s->shape))
        return false;
    t->rank--;
    t->shape[t->rank - 1] *= MX_BLOCK;
    return true;
}

static int64_t mx_run(const moe_numbers *numbers, int64_t first) {
    (void)numbers;
    return MX_BLOCK - first % MX_BLOCK;
}

static moe_status mx_read(const moe_numbers *numbers, int64_t first, int64_t n, float *out) {
    static const float e2m1[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    int scale = byte_at(numbers->scales, first / MX_BLOCK);
    if (scale == 255) return no_number(numbers, first);
    for (int64_t i = first; i < first + n; i++) {
        int bits = byte_at(&numbers->tensor, i / 2) >> (i % 2 ? 4 : 0);
        float value = ldexpf(e2m1[bits & 7], scale - 127);
        *out++ = bits & 8 ? -value : value;
    }
    return MOE_OK;
}

/* -------------------------------------------------------------------------------------------- */

static const struct moe_packing packings[] = {
    {MOE_TENSOR_F8_E4M3, "", "_scale_inv", fp8_shape, fp8_run, fp8_read},
    {MOE_TENSOR_U8, "_blocks", "_scales", mx_shape, mx_run, mx_read},
};

/* The name of the scales, if the tensor is packed this way and has some. */
static bool has_scales(const moe_shards *shards, const moe_tensor *tensor,
                       const struct moe_packing *packing, char name[NAME_SIZE]) {
    size_t length = strlen(tensor->name), tail = strlen(packing->end);
    if (tensor->type != packing->type || length < tail ||
        strcmp(tensor->name + length - tail, packing->end))
        return false;
    int wanted = snprintf(name, NAME_SIZE, "%.*s%s", (int)(length - tail), tensor->name,
                          packing->scales_end);
    return wanted < NAME_SIZE && moe_shards_has(shards, name);
}

bool moe_numbers_scales(moe_shards *shards, const char *name, char scales[NAME_SIZE]) {
    const moe_tensor *tensor;
    if (moe_shards_get(shards, name, &tensor)) return false;
    for (size_t i = 0; i < sizeof packings / sizeof *packings; i++)
        if (has_scales(shards, tensor, &packings[i], scales)) return true;
    return false;
}

moe_status moe_numbers_find(moe_shards *shards, const char *name, moe_numbers *out) {
    const moe_tensor *tensor;
    char scales[NAME_SIZE];
    MOE_TRY(moe_shards_get(shards, name, &tensor));
    *out = (moe_numbers){.tensor = *tensor};
    for (size_t i = 0; i < sizeof packings / sizeof *packings; i++) {
        if (!has_scales(shards, tensor, &packings[i], scales)) continue;
        MOE_TRY(moe_shards_get(shards, scales, &out->scales));
        out->packing = &packings[i];
        if (!packings[i].shape(out))
            return moe_fail(MOE_E_INVALID, "%s: '%s' does not have the shape of scales of '%s'",
                            moe_shards_path(shards), moe_tensor_label_of(scales).text,
                            moe_tensor_label_of(name).text);
    }
    return MOE_OK;
}

moe_status moe_numbers_read(const moe_numbers *numbers, int64_t first, int64_t n, float *out) {
    if (!numbers->packing) return moe_tensor_floats(&numbers->tensor, first, n, out);
    for (int64_t run; n > 0; first += run, out += run, n -= run) {
        run = numbers->packing->run(numbers, first);
        if (run > n) run = n;
        MOE_TRY(numbers->packing->read(numbers, first, run, out));
    }
    return MOE_OK;
}
