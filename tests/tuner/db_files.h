/* db_files.h - small tuning databases made by hand, for tests of moetune db. */
#ifndef TESTS_DB_FILES_H
#define TESTS_DB_FILES_H

#include "store/storage.h"

#include <stdio.h>

extern const moe_facts db_files_facts; /* a simulated chip */

moe_storage *db_files_open(const char *path);

/* A record of gemm_up at t=16 by "gemm@VERSION number=N": n samples around `med` ns. */
moe_record db_files_record(const char *version, int64_t number, int64_t n, double med,
                           const char *date);

/* A layer at t=16 whose only step is a record of db_files_record. */
moe_choice db_files_layer(const char *version, int64_t number, double med, const char *date);

/* Puts a record into the database at `path`; `samples` and `ptx` may be NULL. */
void db_files_put(const char *path, const moe_record *record, const char *samples, char *ptx);
void db_files_put_layer(const char *path, const moe_choice *choice);

/* Runs SQL on the file, as somebody who damages it would. */
void db_files_sql(const char *path, const char *sql);

#endif
