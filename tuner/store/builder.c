/* builder.c - images of candidates: from memory, from the database, or compiled. */
#include "store/builder.h"

#include "compile/nvrtc.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_STARTED = 64 };

/* A source on its way through the compiler. */
typedef struct started {
    bool busy;
    int64_t ticket;
    moe_source source;
} started;

struct moe_builder {
    char arch[16];
    char toolkit[32];
    moe_storage *store;
    moe_compile_pool *pool;
    moe_built *image[MOE_BUILDER_IMAGES]; /* the newest of use first */
    int images;
    started started[MAX_STARTED];
};

moe_status moe_builder_open(const char *arch, moe_storage *store, moe_compile_pool *pool,
                            moe_builder **out) {
    const moe_nvrtc *nvrtc;
    MOE_TRY(moe_nvrtc_open(&nvrtc));
    moe_builder *builder = calloc(1, sizeof *builder);
    if (!builder) return moe_fail(MOE_E_MEMORY, "no memory for images");
    strncpy(builder->arch, arch, sizeof builder->arch - 1);
    strcpy(builder->toolkit, nvrtc->version);
    builder->store = store;
    builder->pool = pool;
    *out = builder;
    return MOE_OK;
}

static void built_free(moe_built *built) {
    if (!built) return;
    moe_source_free(&built->source);
    moe_compiled_free(&built->compiled);
    free(built);
}

void moe_builder_close(moe_builder *builder) {
    if (!builder) return;
    for (int i = 0; i < builder->images; i++) built_free(builder->image[i]);
    for (int i = 0; i < MAX_STARTED; i++)
        if (builder->started[i].busy) moe_source_free(&builder->started[i].source);
    free(builder);
}

/* Moves image number `at` to the front. */
static const moe_built *use(moe_builder *builder, int at) {
    moe_built *built = builder->image[at];
    memmove(builder->image + 1, builder->image, (size_t)at * sizeof built);
    builder->image[0] = built;
    return built;
}

/* Takes source and compiled over and puts them in front; the image unused longest is dropped. */
static moe_status keep(moe_builder *builder, moe_source *source, moe_compiled *compiled,
                       const moe_built **out) {
    moe_built *built = calloc(1, sizeof *built);
    if (!built) {
        moe_source_free(source);
        moe_compiled_free(compiled);
        return moe_fail(MOE_E_MEMORY, "no memory for an image");
    }
    *built = (moe_built){*source, *compiled};
    *source = (moe_source){0};
    if (builder->images == MOE_BUILDER_IMAGES) built_free(builder->image[--builder->images]);
    builder->image[builder->images] = built;
    *out = use(builder, builder->images++);
    return MOE_OK;
}

static moe_status copy_source(const moe_source *source, moe_source *out) {
    *out = *source;
    out->text = malloc(source->size + 1);
    if (!out->text) return moe_fail(MOE_E_MEMORY, "no memory for a source");
    memcpy(out->text, source->text, source->size + 1);
    return MOE_OK;
}

moe_status moe_builder_find(moe_builder *builder, const moe_source *source, const moe_built **out) {
    char hash[MOE_HASH_SIZE];
    *out = NULL;
    moe_image_hash(source->text, builder->arch, builder->toolkit, hash);
    for (int i = 0; i < builder->images; i++) {
        if (strcmp(builder->image[i]->compiled.hash, hash)) continue;
        *out = use(builder, i);
        return MOE_OK;
    }
    if (!builder->store) return MOE_OK;
    moe_compiled compiled;
    moe_source copy;
    bool found;
    MOE_TRY(moe_storage_image(builder->store, hash, &compiled, NULL, &found));
    if (!found) return MOE_OK;
    moe_status status = copy_source(source, &copy);
    if (status) {
        moe_compiled_free(&compiled);
        return status;
    }
    return keep(builder, &copy, &compiled, out);
}

moe_status moe_builder_start(moe_builder *builder, moe_source *source, int64_t ticket) {
    started *slot = builder->started;
    while (slot->busy) slot++;
    MOE_TRY(moe_compile_pool_submit(builder->pool, source, builder->arch, slot - builder->started));
    *slot = (started){true, ticket, *source};
    *source = (moe_source){0};
    return MOE_OK;
}

moe_status moe_builder_finish(moe_builder *builder, int64_t *ticket, const moe_built **out) {
    int64_t at = -1;
    moe_compiled compiled;
    moe_status status = moe_compile_pool_take(builder->pool, &at, &compiled);
    if (at < 0) return status;
    started *slot = &builder->started[at];
    slot->busy = false;
    *ticket = slot->ticket;
    if (status) {
        moe_source_free(&slot->source);
        return status;
    }
    return keep(builder, &slot->source, &compiled, out);
}

moe_status moe_builder_drain(moe_builder *builder) {
    int64_t ticket;
    const moe_built *built;
    while (moe_compile_pool_busy(builder->pool))
        MOE_TRY(moe_builder_finish(builder, &ticket, &built));
    return MOE_OK;
}

moe_status moe_builder_get(moe_builder *builder, moe_source *source, const moe_built **out) {
    moe_compiled compiled;
    moe_status status = moe_builder_find(builder, source, out);
    if (!status && !*out) {
        status = moe_compile(source, builder->arch, &compiled);
        if (!status) return keep(builder, source, &compiled, out);
    }
    moe_source_free(source);
    return status;
}

/* Starts a compile, and waits for an idle worker before. */
static moe_status start_soon(moe_builder *builder, moe_source *source) {
    const moe_built *built;
    int64_t ticket;
    MOE_TRY(moe_builder_find(builder, source, &built));
    if (built) return MOE_OK;
    if (!moe_compile_pool_idle(builder->pool))
        MOE_TRY(moe_builder_finish(builder, &ticket, &built));
    return moe_builder_start(builder, source, 0);
}

moe_status moe_builder_prefetch(moe_builder *builder, moe_source *sources, int64_t count) {
    moe_status status = MOE_OK;
    for (int64_t i = 0; i < count; i++) {
        if (!status && builder->pool) status = start_soon(builder, &sources[i]);
        moe_source_free(&sources[i]);
    }
    return status || !builder->pool ? status : moe_builder_drain(builder);
}
