/* shards.h - the tensors of a model, in one .safetensors file or spread over many.
 *
 * A spread model has an index, a JSON file that names the file of every tensor:
 *     {"metadata":{"total_size":99},"weight_map":{"a.weight":"model-00001-of-00002.safetensors"}}
 * Files are opened and checked when a tensor of theirs is asked for, and only mapped: what nobody
 * reads takes no memory. The index may come from anywhere, so it names files of its own folder
 * only. */
#ifndef MOE_SHARDS_H
#define MOE_SHARDS_H

#include "models/safetensors.h"

typedef struct moe_shards moe_shards;

/* Opens a .safetensors file, an index, or a model's folder, which holds model.safetensors or
 * model.safetensors.index.json. MOE_E_NOT_FOUND, MOE_E_IO, MOE_E_CORRUPT, MOE_E_UNSUPPORTED,
 * MOE_E_MEMORY. */
moe_status moe_shards_open(const char *path, moe_shards **out);
void moe_shards_close(moe_shards *shards);

/* What was opened, for messages. */
const char *moe_shards_path(const moe_shards *shards);

/* True where a tensor has this name. */
bool moe_shards_has(const moe_shards *shards, const char *name);

/* The tensor called `name`. MOE_E_NOT_FOUND, MOE_E_CORRUPT (the file that the index names has no
 * such tensor, or is damaged), and what moe_tensor_file_open says. */
moe_status moe_shards_get(moe_shards *shards, const char *name, const moe_tensor **out);

/* The name of a tensor by number, in no order that means anything; NULL past the last. */
const char *moe_shards_name(const moe_shards *shards, int64_t index);

/* Checks the text of an index as moe_shards_open does, for those who have no files. */
moe_status moe_shards_check(const char *text, size_t size);

#endif
