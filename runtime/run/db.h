/* db.h - the tuning database, read side: layers of SQLite files, and what they know of a layer.
 *
 * Rows of one op that were tuned at one place (device, tokens, routing, cache) race; only the
 * winner of each place leaves this module. Where several files have a row that fits equally well,
 * the file laid last wins. */
#ifndef MOE_DB_H
#define MOE_DB_H

#include "core/config.h"
#include "core/image.h"
#include "core/pipeline.h"
#include "core/record.h"
#include "run/fit.h"

enum { MOE_MAX_OVERLAYS = 8 };

/* A tuned kernel that the wanted device can run. */
typedef struct moe_row {
    moe_op_kind kind;
    char template_id[MOE_TEMPLATE_ID_SIZE];
    char config[MOE_CONFIG_TEXT_SIZE];
    char image[MOE_IMAGE_KEY_SIZE];
    bool is_default;
    int64_t max_slots; /* that its kernels serve; 0: any number */
    moe_origin origin;
} moe_row;

/* A growing list of rows; start with {0}. */
typedef struct moe_rows {
    moe_row *row; /* owned */
    int64_t count, room;
} moe_rows;

/* A whole layer timed end to end, with the row that serves each step. */
typedef struct moe_pipeline {
    moe_origin origin; /* of the whole */
    const moe_pipeline_info *form;
    moe_row row[MOE_PIPELINE_STEPS]; /* in the order of its steps */
} moe_pipeline;

typedef struct moe_pipelines {
    moe_pipeline *pipeline; /* owned */
    int64_t count, room;
} moe_pipelines;

/* The path that a NULL path means, see moe_db_open. MOE_E_NOT_FOUND without a home folder. */
moe_status moe_db_default_path(char *path, size_t size);

/* Adds the winners of one step of a layer. MOE_E_CORRUPT, MOE_E_IO, MOE_E_MEMORY. */
moe_status moe_db_rows(moe_db *db, moe_op_kind kind, const moe_layer *layer, const moe_want *want,
                       moe_rows *out);
void moe_rows_free(moe_rows *rows);

/* The best row for T tokens, or NULL if there is none. */
const moe_row *moe_rows_best(const moe_rows *rows, const moe_want *want, int64_t tokens,
                             moe_fit *fit);

/* Adds the whole-layer choices whose every step the device can run. */
moe_status moe_db_pipelines(moe_db *db, const moe_layer *layer, const moe_want *want,
                            moe_pipelines *out);
void moe_pipelines_free(moe_pipelines *pipelines);
const moe_pipeline *moe_pipelines_best(const moe_pipelines *pipelines, const moe_want *want,
                                       int64_t tokens, moe_fit *fit);

/* The compiled code of a row. Its pointers are the database's, valid until the next call. */
moe_status moe_db_image(moe_db *db, const char *hash, moe_image *out);

#endif
