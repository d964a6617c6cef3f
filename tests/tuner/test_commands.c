/* label: sim
 * The tune, check and bench commands as a user runs them: a small layer on a simulated GPU, a kill
 * and an interrupt in the middle, and all commands' exit statuses. */
#include "command_case.h"
#include "store/storage.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ------------------------------------------------------------------------------- the rows */

typedef struct rows {
    int64_t count;
    char line[64][MOE_RECORD_TEXT_SIZE];
} rows;

static moe_status take_row(void *context, const moe_record *record, const char *image) {
    (void)image;
    rows *all = context;
    assert_in_range(all->count, 0, 63);
    moe_record_print(record, all->line[all->count++], sizeof all->line[0]);
    return MOE_OK;
}

static moe_status take_device(void *context, int64_t device, const moe_facts *facts) {
    (void)facts;
    *(int64_t *)context = device;
    return MOE_OK;
}

/* All records, or none where there is no database yet. */
static void read_rows(const char *db, rows *all) {
    moe_storage *storage;
    int64_t device = -1;
    all->count = 0;
    if (moe_storage_open_existing(db, &storage)) return;
    moe_status status = moe_storage_devices(storage, take_device, &device);
    if (!status && device >= 0) status = moe_storage_records(storage, device, take_row, all);
    moe_storage_close(storage);
    assert_int_equal(status, MOE_OK);
}

static int64_t sum_of(const json_t *report, const char *key) {
    size_t i;
    json_t *op;
    int64_t sum = 0;
    json_array_foreach(json_object_get(report, "ops"), i, op)
        sum += json_integer_value(json_object_get(op, key));
    return sum;
}

/* Tunes until `least` rows are there, and kills. */
static void kill_after(const char *db, int64_t least) {
    const char *const args[] = {TUNE, "--limit", "4", "--db", db, NULL};
    static rows now;
    pid_t child = command_start(args, in_folder("out"), in_folder("err"));
    for (int i = 0; i < 6000; i++) {
        const struct timespec pause = {0, 20 * 1000 * 1000};
        int status;
        nanosleep(&pause, NULL);
        read_rows(db, &now);
        if (now.count >= least) break;
        if (waitpid(child, &status, WNOHANG) == child) fail_msg("the tune ended too early");
    }
    kill(child, SIGKILL);
    assert_int_equal(command_wait(child), 128 + SIGKILL);
}

static void test_a_killed_tune_resumes(void **state) {
    (void)state;
    static rows killed, resumed, again;
    const char *db = in_folder("killed.db");
    const char *const args[] = {TUNE, "--limit", "4", "--db", db, NULL};
    kill_after(db, 3);
    kill_after(db, 7);
    read_rows(db, &killed);
    assert_true(killed.count >= 7);

    assert_int_equal(command_run(args), 0);
    json_t *report = command_json(in_folder("out"));
    read_rows(db, &resumed);
    assert_int_equal(sum_of(report, "resumed"), killed.count);
    assert_int_equal(sum_of(report, "measured"), resumed.count - killed.count);
    for (int64_t i = 0, j = 0; i < killed.count; i++, j++) { /* both sorted: nothing was touched */
        while (j < resumed.count && strcmp(killed.line[i], resumed.line[j])) j++;
        assert_true(j < resumed.count);
    }
    json_decref(report);

    assert_int_equal(command_run(args), 0);
    report = command_json(in_folder("out"));
    read_rows(db, &again);
    assert_int_equal(sum_of(report, "measured"), 0);
    assert_int_equal(sum_of(report, "resumed"), resumed.count);
    assert_memory_equal(&again, &resumed, sizeof again);
    assert_true(json_boolean_value(json_object_get(
        json_array_get(json_object_get(report, "layers"), 0), "resumed")));
    json_decref(report);
}

/* Uses the database that the test above made. */
static void test_check_and_bench_use_what_was_tuned(void **state) {
    (void)state;
    const char *const check[] = {"check", "--device", "sim:a100", "--layer", LAYER, "--tokens",
                                 "0,1,8", "--db", in_folder("killed.db"), "--json", "--junit",
                                 in_folder("junit.xml"), "--quiet", NULL};
    assert_int_equal(command_run(check), 0);
    json_t *report = command_json(in_folder("out"));
    assert_int_equal(json_integer_value(json_object_get(report, "failed")), 0);
    /* Three entries of each plan; where there are tokens, five ops on their own, and those that
     * each do two of them. */
    assert_int_equal(json_integer_value(json_object_get(report, "checks")), 3 * 3 + 2 * 7);
    json_decref(report);
    char *text = command_text(in_folder("junit.xml"));
    assert_non_null(strstr(text, "tests=\"23\" failures=\"0\""));
    assert_non_null(strstr(text, "router=softmax&gt;topk&gt;renorm"));
    assert_null(strstr(text, "<failure"));
    free(text);
    text = command_text(in_folder("err"));
    assert_string_equal(text, ""); /* no default configs had to stand in */
    free(text);

    const char *const bench[] = {"bench", "--device", "sim:a100", "--layer", LAYER, "--tokens", "8",
                                 "--db", in_folder("killed.db"), "--json", in_folder("bench.json"),
                                 "--quiet", NULL};
    assert_int_equal(command_run(bench), 0);
    report = command_json(in_folder("bench.json"));
    size_t i;
    json_t *row;
    assert_int_equal(json_array_size(json_object_get(report, "rows")), 7);
    json_array_foreach(json_object_get(report, "rows"), i, row) {
        assert_string_equal(json_string_value(json_object_get(row, "timer")), "model");
        assert_true(json_real_value(json_object_get(row, "median_us")) > 0);
        assert_true(json_boolean_value(json_object_get(row, "good")));
    }
    assert_non_null(json_object_get(json_object_get(report, "head"), "commit"));
    json_decref(report);
    text = command_text(in_folder("out"));
    assert_non_null(strstr(text, "us (model)"));
    free(text);
}

static void test_exit_statuses(void **state) {
    (void)state;
    FILE *file = fopen(in_folder("text.db"), "w");
    assert_non_null(file);
    for (int i = 0; i < 100; i++) fputs("no database at all, just some words\n", file);
    fclose(file);
    const struct {
        int status;
        const char *message;
        const char *args[12];
    } cases[] = {
        {2, "k=9 is more than e=4", {"tune", "--device", "sim:a100", "--layer", "d=8 f=8 e=4 k=9"}},
        {2, "no layer", {"tune", "--device", "sim:a100"}},
        {2, "--budget", {"tune", "--layer", LAYER, "--budget", "soon"}},
        {2, "--tokens", {"tune", "--layer", LAYER, "--tokens", "1,x"}},
        {2, "exhaustive, random, halving", {"tune", "--layer", LAYER, "--strategy", "luck"}},
        {2, "--op", {"tune", "--layer", LAYER, "--op", "route,magic"}},
        {3, "no template 'magic'", {"tune", "--device", "sim:a100", "--layer", LAYER, "--db",
                                  in_folder("m.db"), "--op", "combine", "--template", "magic"}},
        {2, "uniform, zipf, one, empty", {"bench", "--layer", LAYER, "--routing", "chaos"}},
        {2, "--capacity", {"check", "--layer", LAYER, "--capacity", "-1"}},
        {2, "build | export | merge | ", {"db"}},
        {2, "-o", {"db", "build"}},
        {2, "one folder at most", {"db", "export", "a.db", "r", "-o", "s"}},
        {3, "h100", {"tune", "--device", "sim:h1000", "--layer", LAYER, "--db", in_folder("x.db")}},
        {3, "--db FILE", {"tune", "--device", "sim:a100", "--layer", LAYER, "--db", "/proc/x/y"}},
        {3, "--db FILE",
         {"tune", "--device", "sim:a100", "--layer", LAYER, "--db", in_folder("text.db")}},
        {3, "no.db",
         {"check", "--device", "sim:a100", "--layer", LAYER, "--db", in_folder("no.db")}},
        {2, "at least one database", {"db", "merge", "-o", in_folder("merged.db")}},
        {2, "two databases", {"db", "diff", in_folder("text.db")}},
        {2, "one argument too many", {"db", "diff", "a.db", "b.db", "c.db"}},
        {3, "no.db", {"db", "merge", "-o", in_folder("merged.db"), in_folder("no.db")}},
        {3, "text.db", {"db", "merge", "-o", in_folder("merged.db"), in_folder("text.db")}},
        {2, "databases", {"db", "lint"}},
        {2, "no layer", {"db", "explain", "--db", in_folder("text.db")}},
        {3, "text.db", {"db", "explain", "--device", "sim:a100", "--layer", LAYER, "--db",
                        in_folder("text.db")}},
        {3, "no folder", {"db", "lint", in_folder("no folder")}},
        {3, "text.db", {"db", "lint", in_folder("text.db")}},
        {3, "is a folder", {"db", "merge", "-o", in_folder("merged.db"), "/tmp"}},
        {3, "text.db", {"db", "diff", in_folder("text.db"), in_folder("text.db")}},
        {3, "", {"db", "show", in_folder("text.db")}},
        {3, "", {"db", "export", in_folder("no.db"), in_folder("r")}},
        {3, "", {"db", "build", in_folder("no folder"), "-o", in_folder("y.db")}},
        {3, "templates", {"tune", "--device", "sim:a100", "--layer", LAYER, "--db",
                          in_folder("z.db"), "--templates", "/no/such/folder"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = command_wait(command_start(cases[i].args, in_folder("out"), in_folder("err")));
        char *text = command_text(in_folder("err"));
        if (status != cases[i].status || !strstr(text, cases[i].message))
            fail_msg("%s %s ...: exit %d: %s", cases[i].args[0],
                     cases[i].args[1] ? cases[i].args[1] : "", status, text);
        free(text);
    }
}

/* An interrupt ends the tune in order: rows are kept, and the message says how to go on. */
/* The library's "auto" is a GPU or an error; the command goes on without one, and says on what. */
static void test_auto_without_a_gpu_is_said(void **state) {
    (void)state;
    moe_device *gpu = NULL;
    bool without = moe_device_open("cuda:0", &gpu) != MOE_OK;
    moe_device_close(gpu);
    const char *const args[] = {"emit", "combine", LAYER, "--device", "auto", NULL};
    assert_int_equal(command_run(args), 0);
    char *said = command_text(in_folder("err")), *text = command_text(in_folder("out"));
    bool told = strstr(said, "moetune: no GPU, so on sim:h100, a simulated one") != NULL;
    if (told != without) fail_msg("says: %s", said);
    if (without) assert_non_null(strstr(text, "// device     sm_90a"));
    free(said);
    free(text);
}

static void test_an_interrupt_ends_in_order(void **state) {
    (void)state;
    static rows now, after;
    const char *db = in_folder("interrupt.db");
    const char *const args[] = {TUNE, "--limit", "4", "--db", db, NULL};
    pid_t child = command_start(args, in_folder("out"), in_folder("err"));
    for (int i = 0; i < 6000 && now.count < 2; i++) {
        const struct timespec pause = {0, 20 * 1000 * 1000};
        nanosleep(&pause, NULL);
        read_rows(db, &now);
    }
    kill(child, SIGINT);
    assert_int_equal(command_wait(child), 3);
    char *text = command_text(in_folder("err"));
    assert_non_null(strstr(text, "goes on from here"));
    free(text);
    read_rows(db, &after);
    assert_true(after.count >= now.count);
    json_t *report = command_json(in_folder("out"));
    assert_int_equal(sum_of(report, "measured"), after.count);
    json_decref(report);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_killed_tune_resumes),
        cmocka_unit_test(test_check_and_bench_use_what_was_tuned),
        cmocka_unit_test(test_exit_statuses),
        cmocka_unit_test(test_auto_without_a_gpu_is_said),
        cmocka_unit_test(test_an_interrupt_ends_in_order),
    };
    return cmocka_run_group_tests(tests, own_folder_make, own_folder_drop);
}
