/* db.c - an open database: layers of files, and the compiled code in them. */
#include "run/db_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

moe_status moe_db_default_path(char *path, size_t size) {
    const char *file = getenv("MOETUNE_DB"), *cache = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    int length;
    if (file && *file)
        length = snprintf(path, size, "%s", file);
    else if (cache && *cache)
        length = snprintf(path, size, "%s/moetune/tuning.db", cache);
    else if (home && *home)
        length = snprintf(path, size, "%s/.cache/moetune/tuning.db", home);
    else
        return moe_fail(MOE_E_NOT_FOUND, "database: none of MOETUNE_DB, XDG_CACHE_HOME and HOME is "
                                         "set; give a path");
    if (length < 0 || (size_t)length >= size)
        return moe_fail(MOE_E_INVALID, "database: the default path is too long; give a path");
    return MOE_OK;
}

moe_status moe_db_open(const char *path, moe_db **out) {
    char standard[4096];
    if (!path) {
        MOE_TRY(moe_db_default_path(standard, sizeof standard));
        path = standard;
    }
    moe_db *db = calloc(1, sizeof *db);
    if (!db) return moe_fail(MOE_E_MEMORY, "database %s: no memory", path);
    moe_status status = moe_db_overlay(db, path);
    if (status)
        free(db);
    else
        *out = db;
    return status;
}

moe_status moe_db_overlay(moe_db *db, const char *path) {
    if (!path) return moe_fail(MOE_E_INVALID, "database: no path given to lay over");
    if (db->files == 1 + MOE_MAX_OVERLAYS)
        return moe_fail(MOE_E_INVALID,
                        "database %s: more than %d overlays; export some with moetune db export "
                        "and build one database of them",
                        path, MOE_MAX_OVERLAYS);
    MOE_TRY(moe_db_file_open(path, &db->file[db->files]));
    db->files++;
    return MOE_OK;
}

void moe_db_close(moe_db *db) {
    if (!db) return;
    for (int i = 0; i < db->files; i++) moe_db_file_close(&db->file[i]);
    free(db->code);
    free(db);
}

static moe_status fail_image(const moe_db_file *file, const char *hash, const char *what) {
    return moe_fail(MOE_E_CORRUPT, "database %s: image %s %s; " MOE_REBUILD, file->path, hash,
                    what);
}

static moe_status read_image(const moe_db_file *file, const char *hash, moe_image *out) {
    sqlite3_stmt *query = file->query[MOE_QUERY_IMAGE];
    const char *launch = (const char *)sqlite3_column_text(query, 1);
    moe_image image = {0};
    MOE_TRY(moe_db_file_text(file, MOE_QUERY_IMAGE, 0, image.arch, sizeof image.arch));
    moe_status status = moe_launch_parse(launch ? launch : "", &image.launch);
    if (status) return fail_image(file, hash, moe_error_text());
    image.cubin = sqlite3_column_blob(query, 2);
    image.cubin_size = (size_t)sqlite3_column_bytes(query, 2);
    image.ptx = (const char *)sqlite3_column_text(query, 3);
    image.ptx_size = (size_t)sqlite3_column_bytes(query, 3);
    if (image.cubin && (image.cubin_size < 4 || memcmp(image.cubin, "\177ELF", 4) != 0))
        return fail_image(file, hash, "is damaged: its cubin is not an ELF file");
    if (!image.cubin && !image.ptx) return fail_image(file, hash, "has no code");
    *out = image;
    return MOE_OK;
}

/* Copies the code out of the file's row, so that the row need not stay locked. */
static moe_status keep_code(moe_db *db, moe_image *image) {
    char *code = malloc(image->cubin_size + image->ptx_size + 1);
    if (!code) return moe_fail(MOE_E_MEMORY, "database: no memory for an image");
    if (image->cubin) image->cubin = memcpy(code, image->cubin, image->cubin_size);
    if (image->ptx) image->ptx = memcpy(code + image->cubin_size, image->ptx, image->ptx_size + 1);
    free(db->code);
    db->code = code;
    return MOE_OK;
}

static moe_status find_image(moe_db *db, const moe_db_file *file, const char *hash, bool *found,
                             moe_image *out) {
    sqlite3_bind_text(file->query[MOE_QUERY_IMAGE], 1, hash, -1, SQLITE_STATIC);
    MOE_TRY(moe_db_file_step(file, MOE_QUERY_IMAGE, found));
    if (!*found) return MOE_OK;
    MOE_TRY(read_image(file, hash, out));
    return keep_code(db, out);
}

moe_status moe_db_image(moe_db *db, const char *hash, moe_image *out) {
    bool found = false;
    for (int i = db->files - 1; i >= 0 && !found; i--) {
        moe_status status = find_image(db, &db->file[i], hash, &found, out);
        sqlite3_reset(db->file[i].query[MOE_QUERY_IMAGE]);
        if (status) return status;
    }
    if (found) return MOE_OK;
    return moe_fail(MOE_E_NOT_FOUND, "database: no image %s; " MOE_REBUILD, hash);
}
