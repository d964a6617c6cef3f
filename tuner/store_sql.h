/* store_sql.h - the store's statements and SQLite's ways, private to store*.c. */
#ifndef MOE_STORE_SQL_H
#define MOE_STORE_SQL_H

#include "store.h"

#include <sqlite3.h>

typedef enum store_sql {
#define SQL(name, text) SQL_##name,
#include "store_sql.def"
#undef SQL
    SQL_COUNT
} store_sql;

struct moe_store {
    sqlite3 *db;
    sqlite3_stmt *statement[SQL_COUNT];
    char path[4096];
};

/* The status and message of SQLite's last failure. */
moe_status store_fail(moe_store *store, const char *what);

/* A statement, reset, with all its values unbound. */
sqlite3_stmt *store_start(moe_store *store, store_sql sql);

/* Runs a started statement to its next row; *row is false at the end, where it is reset. */
moe_status store_step(moe_store *store, sqlite3_stmt *statement, bool *row);

/* Runs a started statement that gives no row. */
moe_status store_run(moe_store *store, sqlite3_stmt *statement);

/* Binds a text that outlives the run; NULL binds "". */
void store_bind_text(sqlite3_stmt *statement, int at, const char *text);

/* Copies a text column, cut to `size`. */
void store_column_text(sqlite3_stmt *statement, int at, char *text, size_t size);

/* Binds the key of a record (device, kind, shape, tokens, routing, cache, template, config) to
 * 1..8. `key` must live until the statement has run. */
typedef struct store_key {
    char shape[MOE_OP_TEXT_SIZE];
    char config[MOE_CONFIG_TEXT_SIZE];
} store_key;
void store_bind_key(sqlite3_stmt *statement, int64_t device, const moe_op *op,
                    const char *template_id, const moe_config *config, store_key *key);

#endif
