/* db_file.h - one SQLite file with its queries. Private to db.c, db_file.c and rows.c. */
#ifndef MOE_DB_FILE_H
#define MOE_DB_FILE_H

#include "run/db.h"
#include "run/schema.h"

/* What is read of a row, behind its id: of the device it was tuned on, of itself, and of a record,
 * which is the kernel. */
#define MOE_DEVICE_OF_ROW(X) X(name) X(arch) X(sms) X(simulated)
#define MOE_EVIDENCE_OF_ROW(X) MOE_COLUMNS_PLACE(X) MOE_COLUMNS_MEASUREMENT(X)
#define MOE_KERNEL_OF_ROW(X) X(kind) X(template) X(config) X(image) X(is_default) X(device)

typedef enum moe_query {
    MOE_QUERY_ROWS,      /* (kind, shape): candidates of an op, by place, fastest first */
    MOE_QUERY_PIPELINES, /* (layer): choices */
    MOE_QUERY_STEPS,     /* (choice): its rows in launch order */
    MOE_QUERY_CODE,      /* (hash): what an image's code needs, without the code */
    MOE_QUERY_IMAGE,     /* (hash) */
    MOE_QUERY_COUNT
} moe_query;

typedef struct moe_db_file {
    char *path;
    sqlite3 *handle;
    sqlite3_stmt *query[MOE_QUERY_COUNT];
} moe_db_file;

struct moe_db {
    moe_db_file file[1 + MOE_MAX_OVERLAYS]; /* the one laid last comes last */
    int files;
    char *code; /* copy of the last image's cubin and PTX */
};

/* Opens a file and prepares its queries. A failure leaves nothing open. */
moe_status moe_db_file_open(const char *path, moe_db_file *out);
void moe_db_file_close(moe_db_file *file);

/* Steps a query: *row tells whether there is one. */
moe_status moe_db_file_step(const moe_db_file *file, moe_query query, bool *row);

/* Copies a text column; MOE_E_CORRUPT if it does not fit. NULL reads as "". */
moe_status moe_db_file_text(const moe_db_file *file, moe_query query, int column, char *out,
                            size_t size);

#endif
