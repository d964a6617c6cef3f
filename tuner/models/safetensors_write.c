/* safetensors_write.c - writing .safetensors files. */
#include "models/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

enum { HEADER_ALIGN = 8 };

/* Larger elements first, so that all data are aligned; then by name. */
static int compare_place(const void *a, const void *b) {
    const moe_tensor *left = *(const moe_tensor *const *)a, *right = *(const moe_tensor *const *)b;
    size_t left_size = moe_tensor_type_size(left->type);
    size_t right_size = moe_tensor_type_size(right->type);
    if (left_size != right_size) return left_size > right_size ? -1 : 1;
    return strcmp(left->name, right->name);
}

static moe_status check_bytes(const moe_tensor *tensor) {
    size_t bytes;
    if (!moe_tensor_bytes(tensor, &bytes) || bytes != tensor->bytes)
        return moe_fail(MOE_E_INVALID, "tensor '%s': %zu bytes do not fit its shape", tensor->name,
                        tensor->bytes);
    return MOE_OK;
}

/* One entry of the header; NULL without memory. */
static json_t *entry_of(const moe_tensor *tensor, size_t offset) {
    json_t *shape = json_array();
    for (int64_t i = 0; i < tensor->rank; i++)
        json_array_append_new(shape, json_integer(tensor->shape[i]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", moe_tensor_type_name(tensor->type), "shape",
                     shape, "data_offsets", (json_int_t)offset,
                     (json_int_t)(offset + tensor->bytes));
}

/* The header's JSON, to be freed. */
static moe_status make_header(const moe_tensor *const *tensors, int64_t n, char **out) {
    size_t offset = 0;
    moe_status status = MOE_OK;
    json_t *header = json_object();
    for (int64_t i = 0; i < n && !status; i++) {
        status = check_bytes(tensors[i]);
        if (status) break;
        if (json_object_get(header, tensors[i]->name))
            status = moe_fail(MOE_E_INVALID, "two tensors are called '%s'", tensors[i]->name);
        else if (json_object_set_new(header, tensors[i]->name, entry_of(tensors[i], offset)))
            status = moe_fail(MOE_E_INVALID, "tensor '%.64s' has no name that JSON can hold",
                              tensors[i]->name);
        offset += tensors[i]->bytes;
    }
    if (!status) {
        *out = json_dumps(header, JSON_COMPACT | JSON_PRESERVE_ORDER);
        if (!*out) status = moe_fail(MOE_E_MEMORY, "no memory for the header");
    }
    json_decref(header);
    return status;
}

static void write_bytes(FILE *file, const void *data, size_t bytes, bool *good) {
    *good = *good && (bytes == 0 || fwrite(data, 1, bytes, file) == bytes);
}

/* Length, header padded with blanks, data. */
static bool write_all(FILE *file, const char *header, const moe_tensor *const *tensors, int64_t n) {
    size_t used = strlen(header), length = (used + HEADER_ALIGN - 1) / HEADER_ALIGN * HEADER_ALIGN;
    unsigned char prefix[8];
    bool good = true;
    for (int i = 0; i < 8; i++) prefix[i] = (unsigned char)((uint64_t)length >> 8 * i);
    write_bytes(file, prefix, sizeof prefix, &good);
    write_bytes(file, header, used, &good);
    write_bytes(file, "       ", length - used, &good);
    for (int64_t i = 0; i < n; i++) write_bytes(file, tensors[i]->data, tensors[i]->bytes, &good);
    return good;
}

/* Where to write before the rename: beside a regular file, right into anything else. */
static bool temporary_path(const char *path, char *temporary, size_t size) {
    struct stat facts;
    bool special = stat(path, &facts) == 0 && !S_ISREG(facts.st_mode);
    return (size_t)snprintf(temporary, size, "%s%s", path, special ? "" : ".part") < size;
}

static moe_status write_file(const char *path, const char *header, const moe_tensor *const *tensors,
                             int64_t n) {
    char temporary[4096];
    if (!temporary_path(path, temporary, sizeof temporary))
        return moe_fail(MOE_E_IO, "cannot write it: %s", strerror(ENAMETOOLONG));
    FILE *file = fopen(temporary, "wb");
    if (!file) return moe_fail(MOE_E_IO, "cannot write it: %s", strerror(errno));
    bool whole = strcmp(temporary, path) != 0;
    bool good = write_all(file, header, tensors, n);
    good = fflush(file) == 0 && good;
    int reason = errno;
    if (fclose(file) && good) good = false, reason = errno;
    if (good && whole && rename(temporary, path)) good = false, reason = errno;
    if (good) return MOE_OK;
    if (whole) remove(temporary);
    return moe_fail(MOE_E_IO, "cannot write it: %s", strerror(reason));
}

moe_status moe_tensor_file_write(const char *path, const moe_tensor *tensors, int64_t n) {
    char *header = NULL;
    moe_status status = MOE_OK;
    const moe_tensor **order = malloc((size_t)(n + 1) * sizeof *order);
    if (!order) {
        status = moe_fail(MOE_E_MEMORY, "no memory for %lld tensors", (long long)n);
        goto done;
    }
    for (int64_t i = 0; i < n; i++) order[i] = &tensors[i];
    qsort(order, (size_t)n, sizeof *order, compare_place);
    status = make_header(order, n, &header);
    if (!status) status = write_file(path, header, order, n);
done:
    free(order);
    free(header);
    return status ? moe_fail_context(status, "%s", path) : MOE_OK;
}
