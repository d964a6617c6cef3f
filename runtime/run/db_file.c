/* db_file.c - opens one SQLite file for reading, checks it, and prepares its queries. */
#include "run/db_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_MILLISECONDS = 5000 };

/* ORDER ROW: the columns that rows.c reads for a row, and the tables they come from. */
#define ROW_COLUMNS                                                                                \
    "d.name, d.arch, d.sms, d.simulated, r.tokens, r.routing, r.cache, r.n, r.med, r.mad, r.err, " \
    "r.timer, r.kind, r.template, r.config, r.image, r.is_default, r.device"
#define ROW_TABLES "JOIN device d ON d.id = r.device "

static const char *const queries[MOE_QUERY_COUNT] = {
    [MOE_QUERY_ROWS] =
        "SELECT " ROW_COLUMNS " FROM record r " ROW_TABLES
        "WHERE r.kind = ?1 AND r.shape = ?2 AND r.outcome = 'ok' AND r.image IS NOT NULL "
        "ORDER BY r.device, r.tokens, r.routing, r.cache, r.n = 0, r.med, r.template, r.config",
    [MOE_QUERY_PIPELINES] =
        "SELECT d.name, d.arch, d.sms, d.simulated, c.tokens, c.routing, c.cache, c.n, c.med, "
        "c.mad, c.err, c.timer, c.id FROM choice c JOIN device d ON d.id = c.device "
        "WHERE c.layer = ?1 AND c.outcome = 'ok' ORDER BY c.id",
    [MOE_QUERY_STEPS] =
        "SELECT " ROW_COLUMNS " FROM choice_step s JOIN record r ON r.id = s.record " ROW_TABLES
        "WHERE s.choice = ?1 ORDER BY s.step",
    /* typeof() looks at a column without reading it, which for code would be most of the file. */
    [MOE_QUERY_CODE] = "SELECT arch, typeof(cubin) <> 'null', typeof(ptx) <> 'null', launch "
                       "FROM image WHERE hash = ?1",
    [MOE_QUERY_IMAGE] = "SELECT arch, launch, cubin, ptx FROM image WHERE hash = ?1",
};

static const char advice[] = "rebuild it: moetune db build -o FILE, or tune again";

moe_status moe_db_file_fail(const moe_db_file *file) {
    const char *text = sqlite3_errmsg(file->handle);
    switch (sqlite3_errcode(file->handle) & 0xff) {
    case SQLITE_NOMEM: return moe_fail(MOE_E_MEMORY, "database %s: no memory", file->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return moe_fail(MOE_E_IO, "database %s: another process is writing; try again", file->path);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return moe_fail(MOE_E_IO, "database %s: %s; check the disk and the permissions", file->path,
                        text);
    default: return moe_fail(MOE_E_CORRUPT, "database %s: %s; %s", file->path, text, advice);
    }
}

moe_status moe_db_file_step(const moe_db_file *file, moe_query query, bool *row) {
    int result = sqlite3_step(file->query[query]);
    *row = result == SQLITE_ROW;
    return *row || result == SQLITE_DONE ? MOE_OK : moe_db_file_fail(file);
}

moe_status moe_db_file_text(const moe_db_file *file, moe_query query, int column, char *out,
                            size_t size) {
    const char *text = (const char *)sqlite3_column_text(file->query[query], column);
    if (text && strlen(text) >= size)
        return moe_fail(MOE_E_CORRUPT, "database %s: '%.32s...' is too long; %s", file->path, text,
                        advice);
    strcpy(out, text ? text : "");
    return MOE_OK;
}

/* "file:PATH?mode=ro" with what a URI gives a meaning to written as %XX. */
static char *make_uri(const char *path, const char *options) {
    char *uri = malloc(8 + 3 * strlen(path) + strlen(options)), *out = uri;
    if (!uri) return NULL;
    out += sprintf(out, "file:");
    for (; *path; path++)
        out += sprintf(out, strchr("?#%", *path) ? "%%%02X" : "%c", (unsigned char)*path);
    strcpy(out, options);
    return uri;
}

static moe_status connect_file(moe_db_file *file, const char *options) {
    char *uri = make_uri(file->path, options);
    if (!uri) return moe_fail(MOE_E_MEMORY, "database %s: no memory", file->path);
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
    int result = sqlite3_open_v2(uri, &file->handle, flags, NULL);
    free(uri);
    if (result != SQLITE_OK) return moe_db_file_fail(file);
    sqlite3_extended_result_codes(file->handle, 1);
    sqlite3_busy_timeout(file->handle, BUSY_MILLISECONDS);
    /* Room for all rows, 16 MiB at most; a lookup visits them in no order of the disk's. */
    sqlite3_exec(file->handle, "PRAGMA cache_size = -16384", NULL, NULL, NULL);
    return MOE_OK;
}

static int64_t big_endian(const unsigned char *bytes, int count) {
    int64_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

/* A file that is shorter than its header says was cut off. SQLite itself notices only when it meets
 * a page that is missing. Needs a read lock, since a commit changes both. */
static moe_status check_length(const moe_db_file *file) {
    enum { HEADER = 100, PAGE_SIZE = 16, WRITE_FORMAT = 18, PAGES = 28, ROLLBACK = 1 };
    unsigned char header[HEADER];
    sqlite3_file *disk = NULL;
    sqlite3_int64 size = 0;
    sqlite3_file_control(file->handle, "main", SQLITE_FCNTL_FILE_POINTER, &disk);
    if (!disk || !disk->pMethods || disk->pMethods->xFileSize(disk, &size) != SQLITE_OK ||
        (size > 0 && disk->pMethods->xRead(disk, header, HEADER, 0) != SQLITE_OK))
        return moe_fail(MOE_E_CORRUPT, "database %s: its header cannot be read; %s", file->path,
                        advice);
    if (size == 0) return MOE_OK; /* an empty file: of no version */
    int64_t page = big_endian(header + PAGE_SIZE, 2);
    int64_t whole = (page == 1 ? 65536 : page) * big_endian(header + PAGES, 4);
    if (header[WRITE_FORMAT] != ROLLBACK || size >= whole) return MOE_OK;
    return moe_fail(MOE_E_CORRUPT, "database %s: cut off, %lld of %lld bytes are there; %s",
                    file->path, (long long)size, (long long)whole, advice);
}

static moe_status read_version(moe_db_file *file, int *version) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(file->handle, "PRAGMA user_version", -1, &statement, NULL);
    if (result == SQLITE_OK) result = sqlite3_step(statement);
    if (result == SQLITE_ROW) *version = sqlite3_column_int(statement, 0);
    moe_status status = result == SQLITE_ROW ? check_length(file) : moe_db_file_fail(file);
    sqlite3_finalize(statement);
    return status;
}

static moe_status check_version(const moe_db_file *file, int version) {
    if (version == MOE_SCHEMA_VERSION) return MOE_OK;
    if (version == 0)
        return moe_fail(MOE_E_CORRUPT,
                        "database %s: not a tuning database; make one: moetune tune, "
                        "or moetune db build -o FILE",
                        file->path);
    return moe_fail(MOE_E_CORRUPT, "database %s: its schema is %d, and this library reads %d; %s",
                    file->path, version, MOE_SCHEMA_VERSION,
                    version > MOE_SCHEMA_VERSION ? "update moetune" : advice);
}

static moe_status prepare(moe_db_file *file) {
    for (int i = 0; i < MOE_QUERY_COUNT; i++)
        if (sqlite3_prepare_v3(file->handle, queries[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &file->query[i], NULL) != SQLITE_OK)
            return moe_db_file_fail(file);
    return MOE_OK;
}

static void disconnect(moe_db_file *file) {
    for (int i = 0; i < MOE_QUERY_COUNT; i++) {
        sqlite3_finalize(file->query[i]);
        file->query[i] = NULL;
    }
    sqlite3_close(file->handle);
    file->handle = NULL;
}

static moe_status open_with(moe_db_file *file, const char *options) {
    int version = 0;
    moe_status status = connect_file(file, options);
    if (!status) status = read_version(file, &version);
    if (!status) status = check_version(file, version);
    if (!status) status = prepare(file);
    return status;
}

/* A reader of a file in WAL mode keeps an index beside it, which a read-only disk refuses. Such a
 * file is then read as it is: what only its log holds is not seen. */
static bool needs_immutable(const moe_db_file *file) {
    int code = file->handle ? sqlite3_extended_errcode(file->handle) : SQLITE_OK;
    if (code == SQLITE_READONLY_ROLLBACK) return false;
    return (code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_READONLY;
}

static moe_status check_path(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0)
        return moe_fail(errno == ENOENT || errno == ENOTDIR ? MOE_E_NOT_FOUND : MOE_E_IO,
                        "database %s: %s; make one: moetune tune --device auto --layer L --db %s",
                        path, strerror(errno), path);
    if (!S_ISREG(info.st_mode))
        return moe_fail(MOE_E_IO, "database %s: not a file; give the path of a .db file", path);
    if (access(path, R_OK) != 0)
        return moe_fail(MOE_E_IO, "database %s: %s; make it readable", path, strerror(errno));
    return MOE_OK;
}

moe_status moe_db_file_open(const char *path, moe_db_file *out) {
    moe_db_file file = {0};
    MOE_TRY(check_path(path));
    file.path = strdup(path);
    if (!file.path) return moe_fail(MOE_E_MEMORY, "database %s: no memory", path);
    moe_status status = open_with(&file, "?mode=ro");
    if (status && needs_immutable(&file)) {
        disconnect(&file);
        status = open_with(&file, "?mode=ro&immutable=1");
    }
    if (status)
        moe_db_file_close(&file);
    else
        *out = file;
    return status;
}

void moe_db_file_close(moe_db_file *file) {
    disconnect(file);
    free(file->path);
}
