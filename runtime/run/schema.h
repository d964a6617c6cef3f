/* schema.h - what readers and writers of a tuning database agree on: the version and the columns of
 * tuning_db/schema.sql, and how a file is opened. */
#ifndef MOE_SCHEMA_H
#define MOE_SCHEMA_H

#include "core/measurement.h"

#include <sqlite3.h>

/* A file of another version may hold kernels that take other arguments. */
enum { MOE_SCHEMA_VERSION = 3 };

/* Columns that stand together, X(name) each. */
#define MOE_COLUMNS_FACTS(X) X(text) X(arch) X(name) X(sms) X(simulated)
#define MOE_COLUMNS_PLACE(X) X(tokens) X(routing) X(cache)
#define MOE_COLUMNS_MEASUREMENT(X) X(outcome) X(n) X(med) X(mad) X(err) X(timer)
#define MOE_COLUMNS_PROVENANCE(X) X(driver) X(toolkit) X(commit_id) X(date) X(clock)
#define MOE_COLUMNS_RECORD_KEY(X)                                                                  \
    X(device) X(kind) X(shape) MOE_COLUMNS_PLACE(X) X(template) X(config)
#define MOE_COLUMNS_CHOICE_KEY(X) X(device) X(layer) MOE_COLUMNS_PLACE(X)

/* The tables. Those that number their rows have a column `id` in front of these. */
#define MOE_COLUMNS_IMAGE(X) X(arch) X(launch) X(toolkit) X(source) X(log) X(cubin) X(ptx)
#define MOE_COLUMNS_RECORD(X)                                                                      \
    MOE_COLUMNS_RECORD_KEY(X) MOE_COLUMNS_MEASUREMENT(X) X(samples) X(is_default)                  \
    MOE_COLUMNS_PROVENANCE(X) X(image) X(log)
#define MOE_COLUMNS_CHOICE(X)                                                                      \
    MOE_COLUMNS_CHOICE_KEY(X) X(pipeline) MOE_COLUMNS_MEASUREMENT(X) MOE_COLUMNS_PROVENANCE(X)
#define MOE_COLUMNS_STEP(X) X(step) X(record)
#define MOE_TABLES(TABLE)                                                                          \
    TABLE(device, id, MOE_COLUMNS_FACTS)                                                           \
    TABLE(image, hash, MOE_COLUMNS_IMAGE)                                                          \
    TABLE(record, id, MOE_COLUMNS_RECORD)                                                          \
    TABLE(choice, id, MOE_COLUMNS_CHOICE)                                                          \
    TABLE(choice_step, choice, MOE_COLUMNS_STEP)

/* Parts of statements: behind a first column, value, condition or assignment. */
#define MOE_SQL_NAME(name) ", " #name
#define MOE_SQL_VALUE(name) ", ?"
#define MOE_SQL_EQUAL(name) " AND " #name " = ?"
#define MOE_SQL_TAKE(name) ", " #name " = excluded." #name

/* What to do about a file that is no good. */
#define MOE_REBUILD "rebuild it: moetune db build -o FILE"

/* Opens a file that must be there, for reading: it is of this version and whole, and may be on a
 * read-only disk. MOE_E_NOT_FOUND, MOE_E_IO, MOE_E_CORRUPT, MOE_E_MEMORY; *out is then NULL. */
moe_status moe_schema_open(const char *path, sqlite3 **out);

/* Opens a file in one of SQLite's ways; gives SQLite's code, and a handle to ask and close. */
int moe_schema_connect(const char *path, int flags, int busy_milliseconds, sqlite3 **out);

/* MOE_E_CORRUPT where a file of this `PRAGMA user_version` is of no use here. */
moe_status moe_schema_check(const char *path, int64_t version);

/* The failure of a reader's last call, with what to do about it. */
moe_status moe_schema_fail(sqlite3 *file, const char *path);

/* A column that holds one of `names`. MOE_E_PARSE. */
moe_status moe_column_name(sqlite3_stmt *row, int column, const char *const *names, int *out);

/* MOE_COLUMNS_MEASUREMENT from column `at` on. MOE_E_PARSE. */
moe_status moe_column_measurement(sqlite3_stmt *row, int at, moe_measurement *out);

#endif
