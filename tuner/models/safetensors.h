/* safetensors.h - named tensors in a .safetensors file.
 *
 * The format: 8 bytes with the header's length, little endian; the header, a JSON object
 *     {"x":{"dtype":"BF16","shape":[4,64],"data_offsets":[0,512]},"__metadata__":{"a":"b"}}
 * then the data, which the tensors' ranges cover without holes or overlaps. A file may come from
 * anywhere, so everything it says is checked before anything is used. */
#ifndef MOE_SAFETENSORS_H
#define MOE_SAFETENSORS_H

#include "core/layer.h"

enum { MOE_TENSOR_MAX_RANK = 8 };

typedef enum moe_tensor_type {
#define MOE_TENSOR_TYPE(name, bytes) MOE_TENSOR_##name,
#include "models/tensor_type.def"
#undef MOE_TENSOR_TYPE
    MOE_TENSOR_TYPE_COUNT
} moe_tensor_type;

typedef struct moe_tensor {
    const char *name;
    moe_tensor_type type;
    int64_t rank;
    int64_t shape[MOE_TENSOR_MAX_RANK];
    const void *data; /* as it lies in the file: perhaps at an odd address */
    size_t bytes;
} moe_tensor;

/* A name for a message: one short line whatever the file says. */
typedef struct moe_tensor_label {
    char text[72];
} moe_tensor_label;
moe_tensor_label moe_tensor_label_of(const char *name);

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

/* The same of a file's bytes in memory, which must outlive it. */
moe_status moe_tensor_file_view(const void *bytes, size_t size, moe_tensor_file **out);

/* The tensor called `name`, or NULL. */
const moe_tensor *moe_tensor_find(const moe_tensor_file *file, const char *name);

/* The tensor called `name`, which must have this type and shape.
 * MOE_E_NOT_FOUND (the message lists what there is), MOE_E_INVALID. */
moe_status moe_tensor_get(const moe_tensor_file *file, const char *name, moe_tensor_type type,
                          int64_t rank, const int64_t *shape, const moe_tensor **out);

/* The type of a layer's dtype; a type's name, and the bytes of an element (1 if it has less). */
moe_tensor_type moe_tensor_type_of(moe_dtype dtype);
const char *moe_tensor_type_name(moe_tensor_type type);
size_t moe_tensor_type_size(moe_tensor_type type);

/* Bytes that the tensor's type and shape need; false where they are no whole number that fits. */
bool moe_tensor_bytes(const moe_tensor *tensor, size_t *bytes);

/* Adds "[4,64]". */
void moe_tensor_print_shape(int64_t rank, const int64_t *shape, moe_text *out);

/* Elements first .. first+n of a tensor of BF16, F16, F32 or F64 as floats, which hold all but the
 * last exactly. MOE_E_UNSUPPORTED names any other type, and what to do about it. */
moe_status moe_tensor_floats(const moe_tensor *tensor, int64_t first, int64_t n, float *out);

/* The layer dtype of a tensor of BF16, F16 or F32. MOE_E_UNSUPPORTED as above. */
moe_status moe_tensor_dtype(const moe_tensor *tensor, moe_dtype *out);

/* Writes tensors to a file; `bytes` of each must fit its type and shape. The same tensors in any
 * order make the same bytes: larger elements first, then by name. A regular file appears whole or
 * not at all. MOE_E_IO, MOE_E_INVALID, MOE_E_MEMORY. */
moe_status moe_tensor_file_write(const char *path, const moe_tensor *tensors, int64_t n);

#endif
