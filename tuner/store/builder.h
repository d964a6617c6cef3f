/* builder.h - images of candidates: from memory, from the database, or compiled.
 *
 * One image serves every token count, so a tune meets the same source again and again. The builder
 * keeps the last images in memory and looks into the database before it asks for a compile. */
#ifndef MOE_BUILDER_H
#define MOE_BUILDER_H

#include "compile/compile_pool.h"
#include "store/storage.h"

enum { MOE_BUILDER_IMAGES = 192 };

typedef struct moe_builder moe_builder;

/* A source with what became of it; owned by the builder. */
typedef struct moe_built {
    moe_source source;
    moe_compiled compiled;
} moe_built;

/* `store` and `pool` may be NULL: nothing is looked up, and compiles are done in this process. */
moe_status moe_builder_open(const char *arch, moe_storage *store, moe_compile_pool *pool,
                            moe_builder **out);
void moe_builder_close(moe_builder *builder);

/* The image of a source, if it is in memory or in the database; else *out is NULL. */
moe_status moe_builder_find(moe_builder *builder, const moe_source *source, const moe_built **out);

/* Starts a compile on an idle worker of the pool (there must be one) and takes the source over. */
moe_status moe_builder_start(moe_builder *builder, moe_source *source, int64_t ticket);

/* Waits for one started compile. The result lives until MOE_BUILDER_IMAGES others were built. */
moe_status moe_builder_finish(moe_builder *builder, int64_t *ticket, const moe_built **out);

/* Waits for all started compiles and forgets their tickets. */
moe_status moe_builder_drain(moe_builder *builder);

/* Finds or compiles, and waits. Takes the source over. */
moe_status moe_builder_get(moe_builder *builder, moe_source *source, const moe_built **out);

/* Finds or compiles many, as parallel as the pool is. Takes the sources over. Failed compiles are
 * found again by moe_builder_get, with their outcome. */
moe_status moe_builder_prefetch(moe_builder *builder, moe_source *sources, int64_t count);

#endif
