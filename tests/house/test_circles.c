/* label: unit - no two files call each other in a circle, over any number of others, and no header
 * comes to include itself. Who calls whom is asked of the object files, since a header may speak
 * for several files. */
#include "house.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_UNITS = 600, MAX_SYMBOLS = 20000, NAME = 96 };

/* Which unit leans on which: those that it names, then all that these come to. */
typedef struct graph {
    char unit[MAX_UNITS][HOUSE_PATH];
    int units;
    bool direct[MAX_UNITS][MAX_UNITS], reaches[MAX_UNITS][MAX_UNITS];
} graph;

static int unit_of(graph *g, const char *path) {
    for (int i = 0; i < g->units; i++)
        if (!strcmp(g->unit[i], path)) return i;
    assert_true(g->units < MAX_UNITS);
    snprintf(g->unit[g->units], HOUSE_PATH, "%s", path);
    return g->units++;
}

static void close_over(graph *g) {
    memcpy(g->reaches, g->direct, sizeof g->reaches);
    for (int by = 0; by < g->units; by++)
        for (int from = 0; from < g->units; from++)
            for (int to = 0; g->reaches[from][by] && to < g->units; to++)
                g->reaches[from][to] |= g->reaches[by][to];
}

/* Prints the edges that lie on a circle; counts them. */
static int report(const graph *g, const char *verb) {
    int wrong = 0;
    for (int from = 0; from < g->units; from++)
        for (int to = 0; to < g->units; to++) {
            if (from == to || !g->direct[from][to] || !g->reaches[to][from]) continue;
            print_message("%s %s %s, which leads back\n", g->unit[from], verb, g->unit[to]);
            wrong++;
        }
    return wrong;
}

/* ---- calls */

typedef struct symbol {
    char name[NAME];
    int unit;
    bool defined;
} symbol;

typedef struct symbols {
    symbol *at;
    int count;
} symbols;

/* "build/CMakeFiles/moe_sim.dir/sim/ptx/arena.c.o": the source behind the folder of its library. */
static bool source_of(const char *object, char *source, size_t size) {
    const char *start = strstr(object, ".dir/"), *end = strstr(object, ".c.o");
    if (!start || !end) return false;
    snprintf(source, size, "%.*s", (int)(end + 2 - start - 5), start + 5);
    return access(source, F_OK) == 0; /* objects of files that have moved may lie around */
}

static void read_symbols(graph *g, symbols *all) {
    char command[1024], line[1024], object[HOUSE_PATH], source[HOUSE_PATH], name[NAME], type;
    const char *build = getenv("MOETUNE_BUILD");
    assert_non_null(build);
    snprintf(command, sizeof command,
             "cd '%s/CMakeFiles' && find moe_runtime.dir moe_gen.dir moe_sim.dir moe_reference.dir "
             "moe_tuner.dir -name '*.o' | xargs nm -A -g", build);
    FILE *nm = popen(command, "r");
    assert_non_null(nm);
    while (fgets(line, sizeof line, nm)) {
        if (sscanf(line, "%511[^:]:%*[0-9a-f ]%c %95s", object, &type, name) != 3) continue;
        if (!source_of(object, source, sizeof source)) continue;
        assert_true(all->count < MAX_SYMBOLS);
        symbol *s = &all->at[all->count++];
        *s = (symbol){.unit = unit_of(g, source), .defined = type != 'U'};
        strcpy(s->name, name);
    }
    assert_int_equal(pclose(nm), 0);
}

/* By name, the definition first. */
static int compare(const void *a, const void *b) {
    const symbol *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : y->defined - x->defined;
}

static void connect_calls(graph *g, symbols *all) {
    qsort(all->at, (size_t)all->count, sizeof *all->at, compare);
    for (int i = 0, definition = 0; i < all->count; i++) {
        if (strcmp(all->at[i].name, all->at[definition].name)) definition = i;
        if (all->at[definition].defined && !all->at[i].defined)
            g->direct[all->at[i].unit][all->at[definition].unit] = true;
    }
}

static void test_calls(void **unused) {
    (void)unused;
    static graph g;
    symbols all = {.at = calloc(MAX_SYMBOLS, sizeof *all.at)};
    assert_non_null(all.at);
    read_symbols(&g, &all);
    connect_calls(&g, &all);
    close_over(&g);
    free(all.at);
    assert_true(g.units > 200);
    assert_int_equal(report(&g, "calls"), 0);
}

/* ---- headers */

static void connect_headers(graph *g, const char *root) {
    static const char *const tops[] = {"include", "runtime", "gen", "sim", "reference", "tuner"};
    char path[HOUSE_PATH + 256], to[HOUSE_PATH];
    house_files found = {0};
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", root, tops[i]);
        house_find(&found, path, "h def");
    }
    for (int i = 0; i < found.count; i++) {
        const char *from = found.path[i] + strlen(root) + 1;
        char *text = house_read(found.path[i]);
        house_include include;
        for (const char *at = text; (at = house_next_include(at, &include)) != NULL;)
            if (house_resolve(root, from, include.name, to, sizeof to))
                g->direct[unit_of(g, from)][unit_of(g, to)] = true;
        free(text);
    }
    house_forget(&found);
}

static void test_headers(void **unused) {
    (void)unused;
    static graph g;
    connect_headers(&g, ".");
    close_over(&g);
    assert_true(g.units > 100);
    assert_int_equal(report(&g, "includes"), 0);
}

/* The check itself sees a circle of three and no others. */
static void test_check(void **unused) {
    (void)unused;
    static graph g;
    char root[256];
    house_scratch(root, sizeof root);
    house_write(root, "runtime/core/a.h", "#include \"core/b.h\"\n");
    house_write(root, "runtime/core/b.h", "#include \"core/c.h\"\n#include \"core/d.h\"\n");
    house_write(root, "runtime/core/c.h", "#include \"core/a.h\"\n#include <stdio.h>\n");
    house_write(root, "runtime/core/d.h", "#include \"core/e.h\"\n");
    house_write(root, "runtime/core/e.h", "");
    connect_headers(&g, root);
    close_over(&g);
    print_message("the following is expected:\n");
    assert_int_equal(report(&g, "includes"), 3);
    house_remove(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calls), cmocka_unit_test(test_headers),
                                       cmocka_unit_test(test_check)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
