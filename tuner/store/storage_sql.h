/* storage_sql.h - the store's statements and SQLite's ways, private to storage*.c. */
#ifndef MOE_STORAGE_SQL_H
#define MOE_STORAGE_SQL_H

#include "run/schema.h"
#include "store/storage.h"

/* What is read of a record, behind its id. */
#define STORAGE_COLUMNS_RECORD(X)                                                                  \
    MOE_COLUMNS_RECORD_KEY(X) MOE_COLUMNS_MEASUREMENT(X) X(is_default)                             \
    MOE_COLUMNS_PROVENANCE(X) X(image)

/* Places of columns in what is read of a table, and of the same columns' values in what is written:
 * SQLite counts columns from 0, of which that is the id, and values from 1. */
#define AT(name) RECORD_##name,
enum { RECORD_id, STORAGE_COLUMNS_RECORD(AT) };
#undef AT
#define AT(name) PUT_##name,
enum { PUT_id, MOE_COLUMNS_RECORD(AT) };
#undef AT
#define AT(name) CHOICE_##name,
enum { CHOICE_id, MOE_COLUMNS_CHOICE(AT) };
#undef AT
#define AT(name) IMAGE_##name,
enum { IMAGE_hash, MOE_COLUMNS_IMAGE(AT) };
#undef AT
#define AT(name) FACTS_##name,
enum { FACTS_id, MOE_COLUMNS_FACTS(AT) };
#undef AT
#define AT(name) PROVENANCE_##name,
enum { MOE_COLUMNS_PROVENANCE(AT) };
#undef AT
#define AT(name) MEASUREMENT_##name,
enum { MOE_COLUMNS_MEASUREMENT(AT) };
#undef AT

typedef enum storage_sql {
#define SQL(name, text) SQL_##name,
#include "store/storage_sql.def"
#undef SQL
    SQL_COUNT
} storage_sql;

struct moe_storage {
    sqlite3 *db;
    sqlite3_stmt *statement[SQL_COUNT];
    bool bulk; /* a transaction of the caller's is open */
    moe_damage_each *damage; /* NULL: a row that cannot be read is an error */
    void *damage_context;
    char path[4096];
};

/* A statement, reset, with all its values unbound. */
sqlite3_stmt *storage_start(moe_storage *store, storage_sql sql);

/* Runs a started statement to its next row; *row is false at the end, where it is reset. */
moe_status storage_step(moe_storage *store, sqlite3_stmt *statement, bool *row);

/* Binds a text that outlives the run; NULL binds "". */
void storage_bind_text(sqlite3_stmt *statement, int at, const char *text);

/* Copies a text column, cut to `size`. */
void storage_column_text(sqlite3_stmt *statement, int at, char *text, size_t size);

/* Binds the key of a record to the first values. `key` must live until the statement has run. */
typedef struct storage_key {
    char shape[MOE_OP_TEXT_SIZE];
    char config[MOE_CONFIG_TEXT_SIZE];
} storage_key;
void storage_bind_key(sqlite3_stmt *statement, int64_t device, const moe_op *op,
                    const char *template_id, const moe_config *config, storage_key *key);

/* Binds the key of a choice to the first values. */
void storage_bind_choice(sqlite3_stmt *statement, int64_t device, const moe_choice *choice,
                         const char *layer);

#endif
