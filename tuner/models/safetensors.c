/* safetensors.c - reading .safetensors files that may lie. */
#include "models/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

enum { PREFIX = 8, MAX_HEADER = 100000000 }; /* the format's own limit */

/* The file's bytes, and its parsed header, which owns the names. */
typedef struct mapping {
    const unsigned char *bytes;
    size_t size;
    bool mapped; /* by this file, which unmaps it */
    const unsigned char *data; /* behind the header */
    size_t data_size;
    json_t *header;
} mapping;

static const struct {
    const char *name;
    int bits;
} types[] = {
#define MOE_TENSOR_TYPE(name, bits) {#name, bits},
#include "models/tensor_type.def"
#undef MOE_TENSOR_TYPE
};

const char *moe_tensor_type_name(moe_tensor_type type) { return types[type].name; }
size_t moe_tensor_type_size(moe_tensor_type type) { return (size_t)(types[type].bits + 7) / 8; }

moe_tensor_type moe_tensor_type_of(moe_dtype dtype) {
    static const moe_tensor_type by_dtype[MOE_DTYPE_COUNT] = {
#define MOE_DTYPE_NAMES(constant, map, blas, ptx, file, ...) [MOE_##constant] = MOE_TENSOR_##file,
#include "core/dtype.def"
#undef MOE_DTYPE_NAMES
    };
    return by_dtype[dtype];
}

moe_tensor_label moe_tensor_label_of(const char *name) {
    moe_tensor_label out;
    moe_text text = moe_text_start(out.text, sizeof out.text);
    moe_text_add(&text, "%s", name);
    for (char *c = out.text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
    return out;
}

bool moe_tensor_bytes(const moe_tensor *tensor, size_t *bytes) {
    int64_t bits = types[tensor->type].bits;
    bool empty = false, overflow = false;
    for (int64_t i = 0; i < tensor->rank; i++) {
        if (tensor->shape[i] < 0) return false;
        empty = empty || tensor->shape[i] == 0;
        overflow = overflow || __builtin_mul_overflow(bits, tensor->shape[i], &bits);
    }
    *bytes = empty || overflow ? 0 : (size_t)bits / 8;
    return empty || (!overflow && bits % 8 == 0);
}

/* MOE_E_CORRUPT with "tensor 'NAME': ..." */
static moe_status corrupt(const char *name, const char *format, ...) MOE_PRINTF(2, 3);
static moe_status corrupt(const char *name, const char *format, ...) {
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return moe_fail(MOE_E_CORRUPT, "tensor '%s': %s", moe_tensor_label_of(name).text, what);
}

/* ------------------------------------------------------------------------------ the tensors */

static moe_status read_type(const char *name, const json_t *value, moe_tensor_type *out) {
    const char *text = json_string_value(value);
    if (!text) return corrupt(name, "its dtype is not a string");
    for (int type = 0; type < MOE_TENSOR_TYPE_COUNT; type++) {
        if (strcmp(types[type].name, text)) continue;
        *out = (moe_tensor_type)type;
        return MOE_OK;
    }
    return moe_fail(MOE_E_UNSUPPORTED, "tensor '%s': dtype '%s' is not known",
                    moe_tensor_label_of(name).text, moe_tensor_label_of(text).text);
}

/* A count in the header: a whole number from 0 on. */
static moe_status read_count(const char *name, const char *what, const json_t *value,
                             int64_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return corrupt(name, "its %s holds something that is not a whole number from 0 on", what);
    *out = json_integer_value(value);
    return MOE_OK;
}

static moe_status read_shape(const json_t *value, moe_tensor *out) {
    size_t rank = json_array_size(value);
    if (!json_is_array(value)) return corrupt(out->name, "its shape is not a list");
    if (rank > MOE_TENSOR_MAX_RANK)
        return moe_fail(MOE_E_UNSUPPORTED, "tensor '%s': %zu dimensions are more than %d",
                        moe_tensor_label_of(out->name).text, rank, MOE_TENSOR_MAX_RANK);
    for (size_t i = 0; i < rank; i++)
        MOE_TRY(read_count(out->name, "shape", json_array_get(value, i), &out->shape[i]));
    out->rank = (int64_t)rank;
    if (moe_tensor_bytes(out, &out->bytes)) return MOE_OK;
    return corrupt(out->name, "its shape has more elements than memory, or half a byte");
}

static moe_status read_range(const json_t *value, const mapping *map, moe_tensor *out) {
    int64_t begin = 0, end = 0;
    if (json_array_size(value) != 2)
        return corrupt(out->name, "its data_offsets are not two numbers");
    MOE_TRY(read_count(out->name, "data_offsets", json_array_get(value, 0), &begin));
    MOE_TRY(read_count(out->name, "data_offsets", json_array_get(value, 1), &end));
    if (begin > end || (uint64_t)end > map->data_size)
        return corrupt(out->name,
                       "data_offsets [%" PRId64 ",%" PRId64
                       "] are not within the %zu bytes of data",
                       begin, end, map->data_size);
    if ((size_t)(end - begin) != out->bytes)
        return corrupt(out->name,
                       "data_offsets [%" PRId64 ",%" PRId64 "] hold %" PRId64
                       " bytes, but its shape and dtype need %zu",
                       begin, end, end - begin, out->bytes);
    out->data = map->data + begin;
    return MOE_OK;
}

static moe_status read_tensor(const char *name, const json_t *entry, const mapping *map,
                              moe_tensor *out) {
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    *out = (moe_tensor){.name = name};
    if (!json_is_object(entry)) return corrupt(name, "its entry is not an object");
    for (int i = 0; i < 3; i++)
        if (!json_object_get(entry, keys[i])) return corrupt(name, "it has no %s", keys[i]);
    if (json_object_size(entry) != 3)
        return corrupt(name, "it has keys other than dtype, shape and data_offsets");
    MOE_TRY(read_type(name, json_object_get(entry, "dtype"), &out->type));
    MOE_TRY(read_shape(json_object_get(entry, "shape"), out));
    return read_range(json_object_get(entry, "data_offsets"), map, out);
}

/* By data, so that neighbours in the list are neighbours in the file; empty ones first. */
static int compare_data(const void *a, const void *b) {
    const moe_tensor *left = a, *right = b;
    if (left->data != right->data)
        return (const char *)left->data < (const char *)right->data ? -1 : 1;
    if (left->bytes != right->bytes) return left->bytes < right->bytes ? -1 : 1;
    return strcmp(left->name, right->name);
}

static moe_status check_cover(const mapping *map, const moe_tensor_file *file) {
    const unsigned char *end = map->data;
    for (int64_t i = 0; i < file->tensors; i++) {
        const moe_tensor *tensor = &file->tensor[i];
        const unsigned char *begin = tensor->data;
        if (begin < end)
            return corrupt(tensor->name, "its data overlap those of '%s'",
                           moe_tensor_label_of(file->tensor[i - 1].name).text);
        if (begin > end)
            return corrupt(tensor->name, "%td bytes before its data belong to no tensor",
                           begin - end);
        end = begin + tensor->bytes;
    }
    if (end != map->data + map->data_size)
        return moe_fail(MOE_E_CORRUPT, "the last %td bytes belong to no tensor",
                        map->data + map->data_size - end);
    return MOE_OK;
}

static moe_status check_metadata(const json_t *entry) {
    const char *key;
    json_t *value;
    if (!json_is_object(entry)) return moe_fail(MOE_E_CORRUPT, "__metadata__ is not an object");
    json_object_foreach(
        (json_t *)(uintptr_t)entry, key,
        value) if (!json_is_string(value)) return moe_fail(MOE_E_CORRUPT,
                                                           "__metadata__ '%s' is not a string",
                                                           moe_tensor_label_of(key).text);
    return MOE_OK;
}

static moe_status read_tensors(mapping *map, moe_tensor_file *file) {
    const char *name;
    json_t *entry;
    file->tensor = calloc(json_object_size(map->header) + 1, sizeof *file->tensor);
    if (!file->tensor) return moe_fail(MOE_E_MEMORY, "no memory for its tensors");
    json_object_foreach(map->header, name, entry) {
        if (!strcmp(name, "__metadata__")) {
            MOE_TRY(check_metadata(entry));
            continue;
        }
        MOE_TRY(read_tensor(name, entry, map, &file->tensor[file->tensors]));
        file->tensors++;
    }
    qsort(file->tensor, (size_t)file->tensors, sizeof *file->tensor, compare_data);
    return check_cover(map, file);
}

/* ------------------------------------------------------------------------------- the header */

static moe_status read_header(mapping *map) {
    if (map->size < PREFIX)
        return moe_fail(MOE_E_CORRUPT, "%zu bytes are too few for a safetensors file", map->size);
    uint64_t length = 0;
    for (int i = PREFIX - 1; i >= 0; i--) length = length << 8 | map->bytes[i];
    if (length > MAX_HEADER || length > map->size - PREFIX)
        return moe_fail(MOE_E_CORRUPT,
                        "a header of %" PRIu64 " bytes does not fit; the file has %zu after its "
                        "length: it is cut off, or no safetensors file",
                        length, map->size - PREFIX);
    const char *text = (const char *)map->bytes + PREFIX;
    json_error_t error;
    if (length == 0 || text[0] != '{') return moe_fail(MOE_E_CORRUPT, "its header is not JSON");
    map->header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!map->header)
        return moe_fail(MOE_E_CORRUPT, "its header is not JSON: %s at byte %d",
                        moe_tensor_label_of(error.text).text, error.position);
    map->data = map->bytes + PREFIX + length;
    map->data_size = map->size - PREFIX - (size_t)length;
    return MOE_OK;
}

static moe_status map_file(const char *path, mapping *map) {
    struct stat facts;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return moe_fail(errno == ENOENT ? MOE_E_NOT_FOUND : MOE_E_IO, "cannot open it: %s",
                        strerror(errno));
    moe_status status = MOE_OK;
    if (fstat(fd, &facts) || !S_ISREG(facts.st_mode)) {
        status = moe_fail(MOE_E_IO, "it is not a regular file");
    } else if (facts.st_size == 0) {
        status = moe_fail(MOE_E_CORRUPT, "it is empty");
    } else {
        map->size = (size_t)facts.st_size;
        void *bytes = mmap(NULL, map->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED)
            status = moe_fail(MOE_E_IO, "cannot map it: %s", strerror(errno));
        else
            map->bytes = bytes, map->mapped = true;
    }
    close(fd);
    return status;
}

void moe_tensor_file_close(moe_tensor_file *file) {
    if (!file) return;
    mapping *map = file->private;
    if (map) {
        json_decref(map->header);
        if (map->mapped) munmap((void *)(uintptr_t)map->bytes, map->size);
    }
    free(map);
    free(file->tensor);
    free(file->path);
    free(file);
}

static moe_status make_file(const char *path, moe_tensor_file **out) {
    mapping *map = calloc(1, sizeof *map);
    moe_tensor_file *file = calloc(1, sizeof *file);
    if (file) file->private = map, file->path = strdup(path);
    if (map && file && file->path) {
        *out = file;
        return MOE_OK;
    }
    if (!file) free(map);
    moe_tensor_file_close(file);
    return moe_fail(MOE_E_MEMORY, "no memory to open it");
}

/* The header of a file whose bytes are there. */
static moe_status read_bytes(moe_tensor_file *file) {
    MOE_TRY(read_header(file->private));
    return read_tensors(file->private, file);
}

moe_status moe_tensor_file_open(const char *path, moe_tensor_file **out) {
    moe_tensor_file *file = NULL;
    moe_status status = make_file(path, &file);
    if (!status) status = map_file(path, file->private);
    if (!status) status = read_bytes(file);
    if (!status) *out = file;
    else moe_tensor_file_close(file);
    return status ? moe_fail_context(status, "%s", path) : MOE_OK;
}

moe_status moe_tensor_file_view(const void *bytes, size_t size, moe_tensor_file **out) {
    moe_tensor_file *file = NULL;
    MOE_TRY(make_file("memory", &file));
    mapping *map = file->private;
    map->bytes = bytes;
    map->size = size;
    moe_status status = read_bytes(file);
    if (!status) *out = file;
    else moe_tensor_file_close(file);
    return status;
}

/* ------------------------------------------------------------------------------- using them */

const moe_tensor *moe_tensor_find(const moe_tensor_file *file, const char *name) {
    for (int64_t i = 0; i < file->tensors; i++)
        if (!strcmp(file->tensor[i].name, name)) return &file->tensor[i];
    return NULL;
}

void moe_tensor_print_shape(int64_t rank, const int64_t *shape, moe_text *out) {
    moe_text_add(out, "[");
    for (int64_t i = 0; i < rank; i++) moe_text_add(out, "%s%" PRId64, i ? "," : "", shape[i]);
    moe_text_add(out, "]");
}

static moe_status not_found(const moe_tensor_file *file, const char *name) {
    char list[400];
    moe_text text = moe_text_start(list, sizeof list);
    for (int64_t i = 0; i < file->tensors; i++)
        moe_text_add(&text, "%s%s", i ? ", " : "", moe_tensor_label_of(file->tensor[i].name).text);
    return moe_fail(MOE_E_NOT_FOUND, "%s has no tensor '%s'; it has: %s", file->path, name,
                    file->tensors ? list : "none");
}

moe_status moe_tensor_get(const moe_tensor_file *file, const char *name, moe_tensor_type type,
                          int64_t rank, const int64_t *shape, const moe_tensor **out) {
    const moe_tensor *tensor = moe_tensor_find(file, name);
    if (!tensor) return not_found(file, name);
    bool same = tensor->type == type && tensor->rank == rank;
    for (int64_t i = 0; same && i < rank; i++) same = tensor->shape[i] == shape[i];
    if (!same) {
        char shapes[256];
        moe_text text = moe_text_start(shapes, sizeof shapes);
        moe_text_add(&text, "is %s ", types[tensor->type].name);
        moe_tensor_print_shape(tensor->rank, tensor->shape, &text);
        moe_text_add(&text, ", should be %s ", types[type].name);
        moe_tensor_print_shape(rank, shape, &text);
        return moe_fail(MOE_E_INVALID, "%s: tensor '%s' %s", file->path, name, shapes);
    }
    *out = tensor;
    return MOE_OK;
}
