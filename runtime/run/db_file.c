/* db_file.c - one open SQLite file of a database, and its queries. */
#include "run/db_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OF_DEVICE(name) ", d." #name
#define OF_RECORD(name) ", r." #name
#define OF_CHOICE(name) ", c." #name
#define ROW_COLUMNS                                                                                \
    "r.id" MOE_DEVICE_OF_ROW(OF_DEVICE) MOE_EVIDENCE_OF_ROW(OF_RECORD) MOE_KERNEL_OF_ROW(OF_RECORD)
#define ROW_TABLES " JOIN device d ON d.id = r.device "

static const char *const queries[MOE_QUERY_COUNT] = {
    [MOE_QUERY_ROWS] =
        "SELECT " ROW_COLUMNS " FROM record r" ROW_TABLES
        "WHERE r.kind = ?1 AND r.shape = ?2 AND r.outcome = 'ok' AND r.image IS NOT NULL "
        "ORDER BY r.device, r.tokens, r.routing, r.cache, r.n = 0, r.med, r.template, r.config",
    [MOE_QUERY_PIPELINES] =
        "SELECT c.id" MOE_DEVICE_OF_ROW(OF_DEVICE) MOE_EVIDENCE_OF_ROW(OF_CHOICE)
        " FROM choice c JOIN device d ON d.id = c.device "
        "WHERE c.layer = ?1 AND c.outcome = 'ok' ORDER BY c.id",
    [MOE_QUERY_STEPS] =
        "SELECT " ROW_COLUMNS " FROM choice_step s JOIN record r ON r.id = s.record" ROW_TABLES
        "WHERE s.choice = ?1 ORDER BY s.step",
    /* typeof() looks at a column without reading it, which for code would be most of the file. */
    [MOE_QUERY_CODE] = "SELECT arch, launch, typeof(cubin) <> 'null', typeof(ptx) <> 'null' "
                       "FROM image WHERE hash = ?1",
    [MOE_QUERY_IMAGE] = "SELECT arch, launch, cubin, ptx FROM image WHERE hash = ?1",
};

moe_status moe_db_file_step(const moe_db_file *file, moe_query query, bool *row) {
    int result = sqlite3_step(file->query[query]);
    *row = result == SQLITE_ROW;
    return *row || result == SQLITE_DONE ? MOE_OK : moe_schema_fail(file->handle, file->path);
}

moe_status moe_db_file_text(const moe_db_file *file, moe_query query, int column, char *out,
                            size_t size) {
    const char *text = (const char *)sqlite3_column_text(file->query[query], column);
    if (text && strlen(text) >= size)
        return moe_fail(MOE_E_CORRUPT, "database %s: '%.32s...' is too long; " MOE_REBUILD,
                        file->path, text);
    strcpy(out, text ? text : "");
    return MOE_OK;
}

static moe_status prepare(moe_db_file *file) {
    for (int i = 0; i < MOE_QUERY_COUNT; i++)
        if (sqlite3_prepare_v3(file->handle, queries[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &file->query[i], NULL) != SQLITE_OK)
            return moe_schema_fail(file->handle, file->path);
    return MOE_OK;
}

moe_status moe_db_file_open(const char *path, moe_db_file *out) {
    moe_db_file file = {.path = strdup(path)};
    if (!file.path) return moe_fail(MOE_E_MEMORY, "database %s: no memory", path);
    moe_status status = moe_schema_open(path, &file.handle);
    if (!status) status = prepare(&file);
    if (status)
        moe_db_file_close(&file);
    else
        *out = file;
    return status;
}

void moe_db_file_close(moe_db_file *file) {
    for (int i = 0; i < MOE_QUERY_COUNT; i++) sqlite3_finalize(file->query[i]);
    sqlite3_close(file->handle);
    free(file->path);
}
