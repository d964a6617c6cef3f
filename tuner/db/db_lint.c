/* db_lint.c - finds the files of records and the databases to look at. */
#include "db/db_lint.h"

#include "db/db_lint_database.h"
#include "db/db_lint_text.h"

#include <string.h>
#include <sys/stat.h>

enum { PATH_SIZE = 4096 };

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), its = strlen(end);
    return length >= its && !strcmp(text + length - its, end);
}

static moe_status lint_file(moe_lint *lint, const char *path) {
    moe_status status = (ends_with(path, ".txt") ? moe_lint_text : moe_lint_database)(lint, path);
    moe_lines_free(&lint->stale);
    lint->files++;
    return status;
}

static bool is_folder(const char *path) {
    struct stat what;
    return !stat(path, &what) && S_ISDIR(what.st_mode);
}

static moe_status lint_folder(moe_lint *lint, const char *folder) {
    char path[PATH_SIZE];
    moe_lines names = {0};
    moe_status status = moe_lines_list(&names, folder);
    for (int64_t i = 0; i < names.count && !status; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names.line[i]);
        if (is_folder(path))
            status = lint_folder(lint, path);
        else if (ends_with(path, ".txt") || ends_with(path, ".db"))
            status = lint_file(lint, path);
    }
    moe_lines_free(&names);
    return status;
}

moe_status moe_db_lint(moe_lint *lint, const char *path) {
    int64_t before = lint->files;
    if (!is_folder(path)) return lint_file(lint, path);
    MOE_TRY(lint_folder(lint, path));
    if (lint->files > before) return MOE_OK;
    return moe_fail(MOE_E_NOT_FOUND, "%s: no files of records (.txt) and no databases (.db) in it; "
                    "moetune db export writes records", path);
}
