/* schema.c - how a tuning database is opened, and that it is one of this version. */
#include "run/schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_MILLISECONDS = 5000 };

static const char advice[] = MOE_REBUILD ", or move it away and tune anew";

moe_status moe_schema_fail(sqlite3 *file, const char *path) {
    const char *text = sqlite3_errmsg(file);
    switch (sqlite3_errcode(file) & 0xff) {
    case SQLITE_NOMEM: return moe_fail(MOE_E_MEMORY, "database %s: no memory", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return moe_fail(MOE_E_IO, "database %s: another process is writing; try again", path);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return moe_fail(MOE_E_IO, "database %s: %s; check the disk and the permissions", path,
                        text);
    default: return moe_fail(MOE_E_CORRUPT, "database %s: %s; %s", path, text, advice);
    }
}

int moe_schema_connect(const char *path, int flags, int busy_milliseconds, sqlite3 **out) {
    int result = sqlite3_open_v2(path, out, flags, NULL);
    if (result != SQLITE_OK) return result;
    sqlite3_extended_result_codes(*out, 1);
    return sqlite3_busy_timeout(*out, busy_milliseconds);
}

moe_status moe_schema_check(const char *path, int64_t version) {
    if (version == MOE_SCHEMA_VERSION) return MOE_OK;
    if (version == 0)
        return moe_fail(MOE_E_CORRUPT,
                        "database %s: not a tuning database; make one: moetune tune, "
                        "or moetune db build -o FILE",
                        path);
    return moe_fail(MOE_E_CORRUPT, "database %s: its schema is %lld, and this library reads %d; %s",
                    path, (long long)version, MOE_SCHEMA_VERSION,
                    version > MOE_SCHEMA_VERSION ? "update moetune" : advice);
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

static moe_status connect_file(const char *path, const char *options, sqlite3 **out) {
    char *uri = make_uri(path, options);
    if (!uri) return moe_fail(MOE_E_MEMORY, "database %s: no memory", path);
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
    int result = moe_schema_connect(uri, flags, BUSY_MILLISECONDS, out);
    free(uri);
    if (result != SQLITE_OK) return moe_schema_fail(*out, path);
    /* Room for all rows, 16 MiB at most; a lookup visits them in no order of the disk's. */
    sqlite3_exec(*out, "PRAGMA cache_size = -16384", NULL, NULL, NULL);
    return MOE_OK;
}

static int64_t big_endian(const unsigned char *bytes, int count) {
    int64_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

/* A file that is shorter than its header says was cut off. SQLite itself notices only when it meets
 * a page that is missing. Needs a read lock, since a commit changes both. */
static moe_status check_length(sqlite3 *file, const char *path) {
    enum { HEADER = 100, PAGE_SIZE = 16, WRITE_FORMAT = 18, PAGES = 28, ROLLBACK = 1 };
    unsigned char header[HEADER];
    sqlite3_file *disk = NULL;
    sqlite3_int64 size = 0;
    sqlite3_file_control(file, "main", SQLITE_FCNTL_FILE_POINTER, &disk);
    if (!disk || !disk->pMethods || disk->pMethods->xFileSize(disk, &size) != SQLITE_OK ||
        (size > 0 && disk->pMethods->xRead(disk, header, HEADER, 0) != SQLITE_OK))
        return moe_fail(MOE_E_CORRUPT, "database %s: its header cannot be read; %s", path,
                        advice);
    if (size == 0) return MOE_OK; /* an empty file: of no version */
    int64_t page = big_endian(header + PAGE_SIZE, 2);
    int64_t whole = (page == 1 ? 65536 : page) * big_endian(header + PAGES, 4);
    if (header[WRITE_FORMAT] != ROLLBACK || size >= whole) return MOE_OK;
    return moe_fail(MOE_E_CORRUPT, "database %s: cut off, %lld of %lld bytes are there; %s",
                    path, (long long)size, (long long)whole, advice);
}

static moe_status read_version(sqlite3 *file, const char *path, int64_t *version) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(file, "PRAGMA user_version", -1, &statement, NULL);
    if (result == SQLITE_OK) result = sqlite3_step(statement);
    if (result == SQLITE_ROW) *version = sqlite3_column_int64(statement, 0);
    moe_status status = result == SQLITE_ROW ? check_length(file, path)
                                             : moe_schema_fail(file, path);
    sqlite3_finalize(statement);
    return status;
}

static moe_status open_with(const char *path, const char *options, sqlite3 **out) {
    int64_t version = 0;
    moe_status status = connect_file(path, options, out);
    if (!status) status = read_version(*out, path, &version);
    return status ? status : moe_schema_check(path, version);
}

static void disconnect(sqlite3 **file) {
    sqlite3_close(*file);
    *file = NULL;
}

/* A reader of a file in WAL mode keeps an index beside it, which a read-only disk refuses. Such a
 * file is then read as it is: what only its log holds is not seen. */
static bool needs_immutable(sqlite3 *file) {
    int code = file ? sqlite3_extended_errcode(file) : SQLITE_OK;
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

moe_status moe_schema_open(const char *path, sqlite3 **out) {
    *out = NULL;
    MOE_TRY(check_path(path));
    moe_status status = open_with(path, "?mode=ro", out);
    if (status && needs_immutable(*out)) {
        disconnect(out);
        status = open_with(path, "?mode=ro&immutable=1", out);
    }
    if (status) disconnect(out);
    return status;
}

moe_status moe_column_name(sqlite3_stmt *row, int column, const char *const *names, int *out) {
    const moe_field field = {.names = names};
    const char *value = (const char *)sqlite3_column_text(row, column);
    return moe_field_enum.parse(&field, value ? value : "", out);
}

moe_status moe_column_measurement(sqlite3_stmt *row, int at, moe_measurement *out) {
#define AT(name) AT_##name,
    enum { MOE_COLUMNS_MEASUREMENT(AT) };
#undef AT
    int outcome, timer;
    MOE_TRY(moe_column_name(row, at + AT_outcome, moe_outcome_names, &outcome));
    MOE_TRY(moe_column_name(row, at + AT_timer, moe_timer_names, &timer));
    *out = (moe_measurement){
        .outcome = (moe_outcome)outcome,
        .n = sqlite3_column_int64(row, at + AT_n),
        .med = sqlite3_column_double(row, at + AT_med),
        .mad = sqlite3_column_double(row, at + AT_mad),
        .err = sqlite3_column_double(row, at + AT_err),
        .timer = (moe_timer)timer,
    };
    return MOE_OK;
}
