/* safetensors.h - named tensors in a .safetensors file.
 *
 * The format: 8 bytes with the header's length, little endian; the header, a JSON object
 *     {"x":{"dtype":"BF16","shape":[4,64],"data_offsets":[0,512]},"__metadata__":{"a":"b"}}
 * then the data, which the tensors' ranges cover without holes or overlaps. A file may come from
 * anywhere, so everything it says is checked before anything is used. */
#ifndef MOE_SAFETENSORS_H
#define MOE_SAFETENSORS_H

#include "layer.h"

enum { MOE_TENSOR_MAX_RANK = 8 };

typedef enum moe_tensor_type {
#define MOE_TENSOR_TYPE(name, bytes) MOE_TENSOR_##name,
#include "tensor_type.def"
#undef MOE_TENSOR_TYPE
    MOE_TENSOR_TYPE_COUNT
} moe_tensor_type;

typedef struct moe_tensor {
    const char *name;
    moe_tensor_type type;
    int64_t rank;
    int64_t shape[MOE_TENSOR_MAX_RANK];
    const void *data; /* aligned to its element */
    size_t bytes;
} moe_tensor;

/* An open file: its tensors in the order of their data. */
typedef struct moe_tensor_file {
    moe_tensor *tensor;
    int64_t tensors;
    char *path;
    void *private; /* of safetensors.c */
} moe_tensor_file;

/* Opens a file and checks all of its header. Its data stay in the file and are read when touched.
 * MOE_E_NOT_FOUND, MOE_E_IO, MOE_E_CORRUPT (with what is wrong), MOE_E_UNSUPPORTED, MOE_E_MEMORY.
 */
moe_status moe_tensor_file_open(const char *path, moe_tensor_file **out);
void moe_tensor_file_close(moe_tensor_file *file);

/* The tensor called `name`, or NULL. */
const moe_tensor *moe_tensor_find(const moe_tensor_file *file, const char *name);

/* The tensor called `name`, which must have this type and shape.
 * MOE_E_NOT_FOUND (the message lists what there is), MOE_E_INVALID. */
moe_status moe_tensor_get(const moe_tensor_file *file, const char *name, moe_tensor_type type,
                          int64_t rank, const int64_t *shape, const moe_tensor **out);

/* The type of a layer's dtype, and a type's name and size. */
moe_tensor_type moe_tensor_type_of(moe_dtype dtype);
const char *moe_tensor_type_name(moe_tensor_type type);
size_t moe_tensor_type_size(moe_tensor_type type);

/* Writes tensors to a file; `bytes` of each must fit its type and shape. The same tensors in any
 * order make the same bytes: larger elements first, then by name. A regular file appears whole or
 * not at all. MOE_E_IO, MOE_E_INVALID, MOE_E_MEMORY. */
moe_status moe_tensor_file_write(const char *path, const moe_tensor *tensors, int64_t n);

#endif
