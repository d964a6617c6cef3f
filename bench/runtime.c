/* runtime.c - what the host side of the runtime costs: opening and searching a database, creating a
 * plan, and running it, bound before or not, on the null device, which swallows every launch.
 *
 *     bench_runtime [--json FILE]
 *
 * The database is synthetic: a layer like Qwen3-30B-A3B tuned at 21 token counts with 100
 * candidates for each op. Every figure is the median of repeated runs. */
#include "core/args.h"
#include "device/device.h"
#include "run/assemble.h"
#include "run/db.h"

#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A sample is short, so that most of them are not interrupted on a machine that others use. */
enum { REPEATS = 31, RUNS = 200, TOKEN_STEPS = 21, CANDIDATES = 100 };

static const char layer_text[] = "d=2048 f=768 e=128 k=8";

static void check(moe_status status) {
    if (status == MOE_OK) return;
    fprintf(stderr, "bench_runtime: %s\n", moe_error_text());
    exit(3);
}

static void sql(sqlite3 *db, const char *text) {
    char *message = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &message) == SQLITE_OK) return;
    fprintf(stderr, "bench_runtime: %s\n", message);
    exit(3);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* --------------------------------------------------------------------------------- the database */

static char *read_schema(void) {
    FILE *file = fopen("tuning_db/schema.sql", "rb");
    char *text = calloc(1, 1 << 16);
    if (!file || !text || !fread(text, 1, (1 << 16) - 1, file)) {
        fprintf(stderr,
                "bench_runtime: tuning_db/schema.sql: cannot be read; run in the source folder\n");
        exit(3);
    }
    fclose(file);
    return text;
}

/* The shape of every op, for the big INSERT to join with. */
static void add_shapes(sqlite3 *db) {
    moe_layer layer;
    check(moe_layer_parse(layer_text, &layer));
    sql(db, "CREATE TEMP TABLE shape (kind TEXT, shape TEXT)");
    for (int kind = 0; kind < MOE_PLAIN_OPS; kind++) {
        char shape[MOE_OP_TEXT_SIZE], *text;
        moe_op op = moe_op_make((moe_op_kind)kind, &layer, 1, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
        moe_op_shape(&op, shape, sizeof shape);
        text = sqlite3_mprintf("INSERT INTO shape VALUES (%Q, %Q)", moe_op_names[kind], shape);
        sql(db, text);
        sqlite3_free(text);
    }
}

/* An image for each op and candidate, of the size that real ones have; a record for each token
 * count. */
static void add_rows(sqlite3 *db, const char *facts) {
    char *device =
        sqlite3_mprintf("INSERT INTO device VALUES (1, %Q, 'sm_90a', 'null', 132, 1)", facts);
    sql(db, device);
    sqlite3_free(device);
    char *text = sqlite3_mprintf(
        "CREATE TEMP TABLE n (i INTEGER);"
        "WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
        " INSERT INTO n SELECT i FROM c;"
        "INSERT INTO image SELECT kind || i, 'sm_90a', 'kernel=moe_' || kind || '_' || i ||"
        " CASE kind WHEN 'permute' THEN '_count grid=rows(2048) block=256 "
        "kernel=moe_permute_scatter' "
        " ELSE '' END || ' grid=row_tiles(64,12) block=256 smem=98304 align=1', '13.0', "
        " hex(zeroblob(15000)), '', NULL, hex(zeroblob(50000)) FROM shape, n WHERE i < %d;"
        "INSERT INTO record (device, kind, shape, tokens, routing, cache, template, config, "
        "outcome, n,"
        " med, mad, err, timer, is_default, driver, toolkit, commit_id, date, clock, image)"
        " SELECT 1, kind, shape, 1 << t.i, 'uniform', 'cold', 'grouped_gemm@01234567',"
        " 'bm=64 bn=128 bk=64 stages=4 warps=' || c.i, CASE c.i %% 10 WHEN 3 THEN 'wrong' ELSE "
        "'ok' END,"
        " 50, 1000 + (c.i * 37 + t.i * 11) %% 100, 3, 0.001, 'cupti', c.i = 0, '13.0', '13.0', "
        "'-', '-',"
        " 0, kind || c.i FROM shape, n t, n c WHERE t.i < %d AND c.i < %d;",
        CANDIDATES + TOKEN_STEPS, CANDIDATES, TOKEN_STEPS, CANDIDATES);
    sql(db, text);
    sqlite3_free(text);
}

static void make_database(const char *path, const char *facts) {
    sqlite3 *db = NULL;
    char *schema = read_schema();
    if (sqlite3_open(path, &db) != SQLITE_OK) {
        fprintf(stderr, "bench_runtime: %s: cannot be made\n", path);
        exit(3);
    }
    sql(db, "PRAGMA synchronous = OFF");
    sql(db, schema);
    sql(db, "BEGIN");
    add_shapes(db);
    add_rows(db, facts);
    sql(db, "COMMIT");
    sqlite3_close(db);
    free(schema);
}

/* ------------------------------------------------------------------------------------ measuring */

typedef struct bench {
    const char *path;
    moe_device *device;
    moe_layer layer;
    moe_db *db;
    moe_plan *plan;
    moe_bound *bound;
    moe_io io;
    int64_t tokens, launches;
} bench;

static void open_db(bench *b) {
    moe_db *db;
    check(moe_db_open(b->path, &db));
    moe_db_close(db);
}

static void look_up(bench *b) {
    moe_rows rows = {0};
    moe_fit fit;
    moe_want want = {.facts = moe_device_facts(b->device)};
    check(moe_db_rows(b->db, MOE_OP_gemm_up, &b->layer, &want, &rows));
    if (!moe_rows_best(&rows, &want, 100, &fit)) exit(3);
    moe_rows_free(&rows);
}

static void make_plan(bench *b) {
    moe_plan *plan;
    check(moe_plan_create(b->db, b->device, &b->layer, NULL, &plan));
    moe_plan_destroy(plan);
}

static void run(bench *b) {
    for (int i = 0; i < RUNS; i++) check(moe_plan_run(b->plan, &b->io, b->tokens, NULL));
}

static void run_bound(bench *b) {
    for (int i = 0; i < RUNS; i++) check(moe_bound_run(b->bound, NULL));
}

static void bind(bench *b) {
    moe_bound *bound;
    check(moe_plan_bind(b->plan, &b->io, b->tokens, &bound));
    moe_bound_destroy(bound);
}

/* The device's own part of a run: its launches, with arguments that are ready. */
static void launch(bench *b) {
    static const char args[MOE_ARGS_MAX_SIZE];
    const moe_dims dims = {.grid = {1, 1, 1}, .block = {128, 1, 1}, .cluster = 1};
    moe_device *device = b->device;
    for (int i = 0; i < RUNS * b->launches; i++)
        check(device->class->launch(device->self, NULL, 0, &dims, args, sizeof args, NULL));
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median time of one call in nanoseconds; the call does its work `per_call` times. */
static double measure(void (*work)(bench *), bench *b, double per_call) {
    double sample[REPEATS];
    work(b);
    for (int i = 0; i < REPEATS; i++) {
        double begin = now();
        work(b);
        sample[i] = (now() - begin) / per_call;
    }
    qsort(sample, REPEATS, sizeof sample[0], compare);
    return sample[REPEATS / 2];
}

static void report(json_t *rows, const char *what, double nanoseconds) {
    printf("%-40s %12.1f ns\n", what, nanoseconds);
    json_array_append_new(rows, json_pack("{s:s, s:f, s:i}", "what", what, "median_ns", nanoseconds,
                                          "n", REPEATS));
}

static void prepare_run(bench *b) {
    check(moe_plan_create(b->db, b->device, &b->layer, NULL, &b->plan));
    check(moe_plan_workspace(b->plan, 4096, &b->io.workspace_size));
    void *anything = (void *)(uintptr_t)4096; /* the null device reads nothing */
    b->io.size = sizeof b->io;
    b->io.x = b->io.router_weight = b->io.up = b->io.down = anything;
    b->io.y = b->io.workspace = anything;
}

/* One kernel an op; those of the fused one take tensor maps, as Hopper's do. */
static const char *launch_text(moe_op_kind kind) {
    return kind == MOE_OP_experts ? "kernel=moe_experts grid=sms(1) block=384 overlap=1 align=1 "
                                    "maps=up(64,8,2,1;128),down(64,8,1;128)"
                                  : "kernel=moe_step grid=tokens(16) block=128 overlap=1";
}

static void assemble(bench *b, const moe_pipeline_info *form) {
    static moe_image image[MOE_PIPELINE_STEPS];
    const moe_image *images[MOE_PIPELINE_STEPS];
    for (int i = 0; i < form->steps; i++) {
        image[i] = (moe_image){.arch = "sm_90a", .ptx = "", .ptx_size = 1};
        check(moe_launch_parse(launch_text(form->step[i].op), &image[i].launch));
        images[i] = &image[i];
    }
    check(moe_plan_assemble(b->device, &b->layer, form, images, &b->plan));
    b->launches = moe_plan_launches(b->plan, b->tokens);
}

/* A decode step, bound and not, beside the launches that both make. */
static void measure_decode(bench *b, const moe_pipeline_info *form, json_t *rows) {
    static const struct {
        const char *what;
        void (*work)(bench *);
        double per_call;
    } parts[] = {{"the launches alone", launch, RUNS},
                 {"moe_bound_run", run_bound, RUNS},
                 {"moe_plan_run", run, RUNS},
                 {"moe_plan_bind and destroy", bind, 1}};
    b->tokens = 1;
    assemble(b, form);
    check(moe_plan_bind(b->plan, &b->io, b->tokens, &b->bound));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char what[64];
        snprintf(what, sizeof what, "%s, T=1, %lld launches", parts[i].what,
                 (long long)b->launches);
        report(rows, what, measure(parts[i].work, b, parts[i].per_call));
    }
    moe_bound_destroy(b->bound);
    moe_plan_destroy(b->plan);
}

static void measure_all(bench *b, json_t *rows) {
    static const int64_t tokens[] = {1, 100, 4096};
    report(rows, "database open", measure(open_db, b, 1));
    report(rows, "lookup, 2100 rows of one op", measure(look_up, b, 1));
    report(rows, "plan creation, 21 buckets", measure(make_plan, b, 1));
    prepare_run(b);
    for (int i = 0; i < 3; i++) {
        char what[64];
        b->tokens = tokens[i];
        snprintf(what, sizeof what, "moe_plan_run, T=%lld, 6 launches", (long long)tokens[i]);
        report(rows, what, measure(run, b, RUNS));
    }
    moe_plan_destroy(b->plan);
    measure_decode(b, &moe_pipeline_table[MOE_PIPELINE_fused], rows);
    measure_decode(b, &moe_pipeline_table[MOE_PIPELINE_separate], rows);
}

int main(int argc, char **argv) {
    char folder[] = "/tmp/moetune-bench-XXXXXX", path[64];
    bench b = {.path = path};
    json_t *rows = json_array();
    if (argc != 1 && !(argc == 3 && !strcmp(argv[1], "--json"))) {
        fprintf(stderr, "usage: bench_runtime [--json FILE]\n");
        return 2;
    }
    if (!rows || !mkdtemp(folder)) return 3;
    snprintf(path, sizeof path, "%s/tuning.db", folder);
    check(moe_device_open("null", &b.device));
    make_database(path, moe_device_text(b.device));
    check(moe_layer_parse(layer_text, &b.layer));
    check(moe_db_open(path, &b.db));
    measure_all(&b, rows);
    moe_db_close(b.db);
    moe_device_close(b.device);
    unlink(path);
    rmdir(folder);
    int failed = argc == 3 && json_dump_file(rows, argv[2], JSON_INDENT(1));
    json_decref(rows);
    return failed ? 3 : 0;
}
