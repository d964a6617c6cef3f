/* db_build.h - from text records to a database with compiled images inside. */
#ifndef MOE_DB_BUILD_H
#define MOE_DB_BUILD_H

#include "db/records_text.h"
#include "store/builder.h"
#include "text/progress.h"

typedef struct moe_db_built {
    moe_records_count count;
    int64_t images; /* rows that got code: winners, defaults, and what layers are made of */
    int64_t stale;  /* rows that should have code and have none: template changed or unknown, ... */
    moe_progress *progress; /* notes each stale row */
} moe_db_built;

/* Reads the records under `folder` into a new database at `path`, which appears when it is whole.
 * Images are rendered by `gen` and compiled by `pool`. Errors as in moe_records_import. */
moe_status moe_db_build(const char *folder, const char *path, const moe_gen *gen,
                        moe_compile_pool *pool, moe_db_built *out);

#endif
