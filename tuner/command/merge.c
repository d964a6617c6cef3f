/* merge.c - experts of a safetensors file averaged into one, piece by piece. */
#include "command/merge.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 14 }; /* elements of each expert at once */

static const char prefix[] = "experts.";

moe_status moe_mix_parse(const char *text, double *mix, int64_t *count) {
    for (*count = 0; *text; text += *text == ',') {
        char number[64];
        size_t length = strcspn(text, ",");
        if (*count == MOE_MAX_MIX)
            return moe_fail(MOE_E_INVALID, "a mix of more than %d experts", MOE_MAX_MIX);
        if (length >= sizeof number)
            return moe_fail(MOE_E_PARSE, "'%.32s...' is no weight of a mix", text);
        memcpy(number, text, length);
        number[length] = '\0';
        MOE_TRY(moe_real_parse(number, &mix[(*count)++]));
        text += length;
        if (*text == ',' && !text[1])
            return moe_fail(MOE_E_PARSE, "a weight is missing behind the last ','");
    }
    return *count ? MOE_OK : moe_fail(MOE_E_PARSE, "a mix should read like 0.5,0.3,0.2");
}

static moe_status check_shape(const moe_tensor *tensor, int64_t n) {
    const moe_tensor_label name = moe_tensor_label_of(tensor->name);
    if (tensor->rank < 2 || tensor->shape[0] != n)
        return moe_fail(MOE_E_INVALID, "the mix has %lld weights, and '%s' is of %lld experts; "
                                       "give one weight an expert",
                        (long long)n, name.text, (long long)(tensor->rank ? tensor->shape[0] : 0));
    return MOE_OK;
}

/* The data may lie at odd addresses: pieces pass through `room` [n][PIECE] floats' bytes. */
static moe_status average(const moe_tensor *tensor, const double *mix, int64_t n, char *room,
                          const void **pieces, void *out) {
    const size_t size = moe_tensor_type_size(tensor->type), each = tensor->bytes / (size_t)n;
    moe_dtype dtype;
    MOE_TRY(moe_tensor_dtype(tensor, &dtype));
    for (size_t first = 0; first < each; first += PIECE * size) {
        size_t bytes = each - first < PIECE * size ? each - first : PIECE * size;
        for (int64_t j = 0; j < n; j++) {
            char *piece = room + (size_t)j * PIECE * sizeof(float);
            memcpy(piece, (const char *)tensor->data + (size_t)j * each + first, bytes);
            pieces[j] = piece;
        }
        MOE_TRY(moe_merge_experts(dtype, pieces, mix, n, (int64_t)(bytes / size),
                                  (char *)out + first));
    }
    return MOE_OK;
}

/* The averaged tensors; each owns its data. */
typedef struct merged {
    moe_tensor *tensor;
    int64_t count;
} merged;

static void merged_free(merged *m) {
    for (int64_t i = 0; i < m->count; i++) free((void *)(uintptr_t)m->tensor[i].data);
    free(m->tensor);
}

static moe_status add(merged *m, const moe_tensor *tensor, const double *mix, int64_t n, char *room,
                      const void **pieces) {
    MOE_TRY(check_shape(tensor, n));
    moe_tensor *one = &m->tensor[m->count];
    *one = *tensor;
    one->shape[0] = 1;
    one->bytes = tensor->bytes / (size_t)n;
    void *data = malloc(one->bytes + 1);
    if (!data)
        return moe_fail(MOE_E_MEMORY, "no memory for '%s'", moe_tensor_label_of(one->name).text);
    one->data = data;
    m->count++;
    return average(tensor, mix, n, room, pieces, data);
}

static moe_status merge_all(const moe_tensor_file *file, const double *mix, int64_t n, merged *m) {
    char *room = malloc((size_t)n * PIECE * sizeof(float));
    const void **pieces = malloc((size_t)n * sizeof *pieces);
    m->tensor = calloc((size_t)file->tensors + 1, sizeof *m->tensor);
    moe_status status = MOE_OK;
    if (!room || !pieces || !m->tensor)
        status = moe_fail(MOE_E_MEMORY, "no memory for %lld experts", (long long)n);
    for (int64_t i = 0; i < file->tensors && !status; i++)
        if (!strncmp(file->tensor[i].name, prefix, sizeof prefix - 1))
            status = add(m, &file->tensor[i], mix, n, room, pieces);
    free(room);
    free((void *)pieces);
    if (!status && !m->count)
        status = moe_fail(MOE_E_NOT_FOUND, "%s: there is no tensor called %s*", file->path, prefix);
    return status;
}

moe_status moe_merge_file(const char *from, const double *mix, int64_t n, const char *to) {
    moe_tensor_file *file;
    merged m = {0};
    MOE_TRY(moe_tensor_file_open(from, &file));
    moe_status status = merge_all(file, mix, n, &m);
    if (!status) status = moe_tensor_file_write(to, m.tensor, m.count);
    merged_free(&m);
    moe_tensor_file_close(file);
    return status;
}
