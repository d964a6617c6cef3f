/* shards.c - the tensors of a model, in one .safetensors file or spread over many. */
#include "models/shards.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

enum { PATH_SIZE = 4096, MAX_INDEX = 100000000 }; /* bytes, as of a file's header */

static const char index_name[] = "model.safetensors.index.json";
static const char file_name[] = "model.safetensors";

/* A file that has been opened. */
typedef struct shard {
    const char *name; /* as the index has it */
    moe_tensor_file *file;
} shard;

struct moe_shards {
    char *path;
    size_t folder;       /* bytes of `path` up to the last '/', with it */
    json_t *index;       /* NULL: one file alone */
    const json_t *map;   /* the index's weight_map */
    const char **name;   /* of all tensors */
    int64_t names;
    shard *shard;        /* with room for a file a name */
    int64_t shards;
};

/* ---------------------------------------------------------------------------------- the index */

/* A plain name: what has folders in it may lead anywhere. */
static bool plain(const char *name) {
    for (const char *c = name; *c; c++)
        if (*c == '/' || (unsigned char)*c < ' ' || *c == 127) return false;
    return *name && *name != '.' && strlen(name) < 256;
}

static moe_status check_map(const json_t *map) {
    const char *name;
    json_t *file;
    if (!json_is_object(map) || json_object_size(map) == 0)
        return moe_fail(MOE_E_CORRUPT, "it has no 'weight_map' of tensors to files");
    json_object_foreach((json_t *)(uintptr_t)map, name, file) {
        const char *text = json_string_value(file);
        if (!text || !plain(text))
            return moe_fail(MOE_E_CORRUPT, "tensor '%s' is in %s%s, which is no file of its folder",
                            moe_tensor_label_of(name).text, text ? "file " : "something",
                            text ? moe_tensor_label_of(text).text : "");
    }
    return MOE_OK;
}

static moe_status check_index(const json_t *root, const json_error_t *error) {
    if (!root)
        return moe_fail(MOE_E_CORRUPT, "not JSON: %s at line %d",
                        moe_tensor_label_of(error->text).text, error->line);
    if (!json_is_object(root)) return moe_fail(MOE_E_CORRUPT, "it is not a JSON object");
    return check_map(json_object_get(root, "weight_map"));
}

moe_status moe_shards_check(const char *text, size_t size) {
    json_error_t error;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    moe_status status = check_index(root, &error);
    json_decref(root);
    return status;
}

static moe_status open_index(moe_shards *shards) {
    json_error_t error;
    struct stat facts;
    if (stat(shards->path, &facts)) return moe_fail(MOE_E_NOT_FOUND, "%s", strerror(errno));
    if (facts.st_size > MAX_INDEX)
        return moe_fail(MOE_E_CORRUPT, "%lld bytes are too many for an index",
                        (long long)facts.st_size);
    shards->index = json_load_file(shards->path, JSON_REJECT_DUPLICATES, &error);
    MOE_TRY(check_index(shards->index, &error));
    shards->map = json_object_get(shards->index, "weight_map");
    shards->names = (int64_t)json_object_size(shards->map);
    return MOE_OK;
}

/* ---------------------------------------------------------------------------------- the files */

/* The file called `name` in the folder, opened at first use. */
static moe_status open_file(moe_shards *shards, const char *name, const moe_tensor_file **out) {
    char path[PATH_SIZE];
    shard *next = &shards->shard[shards->shards];
    for (shard *s = shards->shard; s < next; s++)
        if (!strcmp(s->name, name)) {
            *out = s->file;
            return MOE_OK;
        }
    if ((size_t)snprintf(path, sizeof path, "%.*s%s", (int)shards->folder, shards->path, name) >=
        sizeof path)
        return moe_fail(MOE_E_NOT_FOUND, "%.64s...: the path is too long", shards->path);
    MOE_TRY(moe_tensor_file_open(path, &next->file));
    next->name = name;
    shards->shards++;
    *out = next->file;
    return MOE_OK;
}

static moe_status list_names(moe_shards *shards, const moe_tensor_file *file) {
    const char *name;
    json_t *value;
    int64_t count = 0;
    shards->name = calloc((size_t)shards->names + 1, sizeof *shards->name);
    if (!shards->name) return moe_fail(MOE_E_MEMORY, "no memory for its tensors");
    if (file)
        while (count < file->tensors) shards->name[count] = file->tensor[count].name, count++;
    else
        json_object_foreach((json_t *)(uintptr_t)shards->map, name, value)
            shards->name[count++] = name;
    return MOE_OK;
}

/* A file alone is its own only shard; an index has at most as many files as tensors. */
static moe_status open_all(moe_shards *shards, bool is_index) {
    const moe_tensor_file *file = NULL;
    if (is_index) MOE_TRY(open_index(shards));
    shards->shard = calloc((size_t)shards->names + 1, sizeof *shards->shard);
    if (!shards->shard) return moe_fail(MOE_E_MEMORY, "no memory for its files");
    if (!is_index) {
        MOE_TRY(open_file(shards, shards->path + shards->folder, &file));
        shards->names = file->tensors;
    }
    return list_names(shards, file);
}

/* --------------------------------------------------------------------------------- the outside */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

static bool is_folder(const char *path) {
    struct stat facts;
    return !stat(path, &facts) && S_ISDIR(facts.st_mode);
}

/* What to open for `path`: itself, or in a folder the index, else the one file. */
static moe_status choose_file(const char *path, char *out, size_t size) {
    struct stat facts;
    const char *const names[] = {index_name, file_name};
    bool folder = is_folder(path), there = false;
    size_t length = (size_t)snprintf(out, size, "%s", path);
    for (int i = 0; folder && i < 2 && !there; i++) {
        length = (size_t)snprintf(out, size, "%s/%s", path, names[i]);
        there = length < size && stat(out, &facts) == 0;
    }
    if (length >= size) return moe_fail(MOE_E_NOT_FOUND, "%.64s...: the path is too long", path);
    if (folder && !there)
        return moe_fail(MOE_E_NOT_FOUND, "%s: no %s or %s in this folder; name the file itself",
                        path, index_name, file_name);
    return MOE_OK;
}

void moe_shards_close(moe_shards *shards) {
    if (!shards) return;
    for (int64_t i = 0; i < shards->shards; i++) moe_tensor_file_close(shards->shard[i].file);
    free(shards->shard);
    free(shards->name);
    json_decref(shards->index);
    free(shards->path);
    free(shards);
}

moe_status moe_shards_open(const char *path, moe_shards **out) {
    char file[PATH_SIZE];
    MOE_TRY(choose_file(path, file, sizeof file));
    bool is_index = ends_with(file, ".json");
    moe_shards *shards = calloc(1, sizeof *shards);
    if (shards) shards->path = strdup(file);
    if (!shards || !shards->path) {
        free(shards);
        return moe_fail(MOE_E_MEMORY, "%s: no memory to open it", path);
    }
    const char *slash = strrchr(file, '/');
    shards->folder = slash ? (size_t)(slash - file) + 1 : 0;
    moe_status status = open_all(shards, is_index);
    if (!status) *out = shards;
    else moe_shards_close(shards);
    return status && is_index ? moe_fail_context(status, "%s", file) : status;
}

const char *moe_shards_path(const moe_shards *shards) { return shards->path; }

const char *moe_shards_name(const moe_shards *shards, int64_t index) {
    return index < shards->names ? shards->name[index] : NULL;
}

bool moe_shards_has(const moe_shards *shards, const char *name) {
    return shards->map ? json_object_get(shards->map, name) != NULL
                       : moe_tensor_find(shards->shard->file, name) != NULL;
}

moe_status moe_shards_get(moe_shards *shards, const char *name, const moe_tensor **out) {
    const moe_tensor_file *file;
    if (!moe_shards_has(shards, name))
        return moe_fail(MOE_E_NOT_FOUND, "%s: no tensor '%s' in it", shards->path, name);
    const char *where = shards->map ? json_string_value(json_object_get(shards->map, name))
                                    : shards->shard->name;
    MOE_TRY(open_file(shards, where, &file));
    const moe_tensor *tensor = moe_tensor_find(file, name);
    if (!tensor)
        return moe_fail(MOE_E_CORRUPT, "%s: tensor '%s' should be in %s, but is not",
                        shards->path, name, where);
    *out = tensor;
    return MOE_OK;
}
