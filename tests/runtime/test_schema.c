/* label: unit
 * The lists of columns that readers and writers share, against the shipped schema. */
#include "run/schema.h"

#include "check.h"
#include "synthetic.h"

#include <stdio.h>
#include <string.h>

static char path[256];

static int start(void **state) {
    (void)state;
    scratch_make(path, sizeof path);
    strncat(path, "/schema.db", sizeof path - strlen(path) - 1);
    return 0;
}

static int stop(void **state) {
    (void)state;
    *strrchr(path, '/') = '\0';
    scratch_remove(path);
    return 0;
}

/* One text of what a query gives: ", a, b, c". */
static const char *names(sqlite3 *db, const char *sql, char *out, size_t size) {
    sqlite3_stmt *statement = NULL;
    moe_text text = moe_text_start(out, size);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    while (sqlite3_step(statement) == SQLITE_ROW)
        moe_text_add(&text, ", %s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return out;
}

/* Each column in its place, and no others; no table besides. */
static void columns_are_those_of_the_schema(void **state) {
    char got[1024];
    sqlite3 *db = synthetic_open(path);
    (void)state;
#define TABLE(table, first, COLUMNS)                                                               \
    assert_string_equal(                                                                           \
        names(db, "SELECT name FROM pragma_table_info('" #table "')", got, sizeof got),            \
        ", " #first COLUMNS(MOE_SQL_NAME));
    MOE_TABLES(TABLE)
#undef TABLE
#define TABLE(table, first, COLUMNS) ", " #table
    assert_string_equal(
        names(db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid", got,
              sizeof got),
        MOE_TABLES(TABLE));
#undef TABLE
    synthetic_close(db);
}

static void its_version_is_the_one_that_is_read(void **state) {
    char got[64], want[64];
    sqlite3 *db = synthetic_open(path);
    (void)state;
    names(db, "PRAGMA user_version", got, sizeof got);
    snprintf(want, sizeof want, ", %d", MOE_SCHEMA_VERSION);
    assert_string_equal(got, want);
    synthetic_close(db);
    CHECK(moe_schema_open(path, &db));
    synthetic_close(db);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(columns_are_those_of_the_schema),
        TEST(its_version_is_the_one_that_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
