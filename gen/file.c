/* file.c - one file of a template folder, read whole. */
#include "file.h"

#include "translate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096, LARGEST = 1 << 20 };

static moe_status read_all(FILE *stream, const char *path, gen_buffer *text) {
    char block[4096];
    size_t size;
    while ((size = fread(block, 1, sizeof block, stream)) > 0) {
        gen_buffer_add(text, block, size);
        if (text->size > LARGEST)
            return moe_fail(MOE_E_TEMPLATE, "%s: larger than %d bytes", path, LARGEST);
    }
    gen_buffer_add(text, "", 0);
    if (ferror(stream)) return moe_fail(MOE_E_IO, "%s: %s", path, strerror(errno));
    return text->failed ? moe_fail(MOE_E_MEMORY, "%s: out of memory", path) : MOE_OK;
}

static moe_status read_file(const char *path, gen_buffer *text) {
    FILE *stream = fopen(path, "rb");
    if (!stream) return moe_fail(MOE_E_IO, "%s: %s", path, strerror(errno));
    moe_status status = read_all(stream, path, text);
    fclose(stream);
    return status;
}

moe_status gen_file_open(const char *folder, const char *label, const char *name, bool body,
                         gen_file *out) {
    gen_buffer text = {0}, lua = {0};
    char path[PATH_SIZE];
    moe_status status = MOE_OK;
    *out = (gen_file){0};
    if (strlen(name) >= sizeof out->name || snprintf(path, sizeof path, "%s/%s", folder, name) < 0)
        return moe_fail(MOE_E_TEMPLATE, "%s/%.64s: the name is longer than %d bytes", label, name,
                        GEN_NAME_SIZE - 1);
    snprintf(out->name, sizeof out->name, "%s", name);
    snprintf(out->label, sizeof out->label, "%.26s/%s", label, name);
    status = read_file(path, &text);
    if (!status && body) status = gen_translate(out->label, text.data, text.size, &lua);
    if (status) {
        gen_buffer_free(&text);
        gen_buffer_free(&lua);
        return status;
    }
    out->text = text.data;
    out->size = text.size;
    out->lua = lua.data;
    out->lua_size = lua.size;
    return MOE_OK;
}

void gen_file_close(gen_file *file) {
    free(file->text);
    free(file->lua);
    *file = (gen_file){0};
}
