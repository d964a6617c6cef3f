/* label: unit
 * The database's write side: what is written reads back; kills, full disks and rivals lose nothing.
 * */
#include "store/storage.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

static char folder[] = "/tmp/moetune-storage-XXXXXX";

static const char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const moe_facts facts = {
    .arch = "sm_80", .name = "test chip", .sm = 80, .sms = 4, .smem = 1000, .smem_sm = 2000,
    .regs_sm = 65536, .threads_sm = 2048, .blocks_sm = 32, .l2 = 1 << 20, .memory = 1 << 30,
    .clock = 1000, .bandwidth = 100, .tensor_rate = 2048, .simulated = 1,
};

static moe_storage *open_or_fail(const char *path) {
    moe_storage *store;
    if (moe_storage_open(path, &store)) fail_msg("%s", moe_error_text());
    return store;
}

static moe_layer test_layer(void) {
    moe_layer layer;
    assert_int_equal(moe_layer_parse("d=64 f=32 e=4 k=2", &layer), MOE_OK);
    return layer;
}

/* Record number i of a family that differs in its config. */
static moe_record record_of(int64_t i) {
    const moe_layer layer = test_layer();
    moe_record record = {
        .op = moe_op_make(MOE_OP_gemm_up, &layer, 16, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD),
        .template_id = "grouped_gemm@1f3c9a0b",
        .config = {.count = 2, .param = {{"bm", 16}, {"number", i}}},
        .measurement = {MOE_OUTCOME_OK, 50, 1234.5 + (double)i, 4.25, 1e-3, MOE_TIMER_MODEL},
        .provenance = {i == 0, "none", "13.0", "abcdef", "2026-01-31T12:00:00Z", 1700},
    };
    return record;
}

static void assert_same_record(const moe_record *a, const moe_record *b) {
    char text_a[MOE_RECORD_TEXT_SIZE], text_b[MOE_RECORD_TEXT_SIZE];
    moe_record_print(a, text_a, sizeof text_a);
    moe_record_print(b, text_b, sizeof text_b);
    assert_string_equal(text_a, text_b);
}

static moe_compiled image_of(char *ptx, char *log) {
    moe_compiled compiled = {.hash = "00112233445566778899aabbccddeeff", .toolkit = "13.0",
                             .ptx = ptx, .log = log};
    compiled.cubin = ptx;
    compiled.image = (moe_image){.arch = "sm_80", .cubin = ptx, .cubin_size = 3, .ptx = ptx,
                                 .ptx_size = strlen(ptx)};
    compiled.image.launch = (moe_launch){
        .kernels = 1, .align = 16,
        .kernel = {{.symbol = "k", .grid = {MOE_GRID_tokens, 4, 1}, .block = 128, .cluster = 1,
                    .smem = 512, .overlap = 1, .regs = 40, .static_smem = 64}}};
    return compiled;
}

static void test_a_record_and_its_image_read_back(void **state) {
    (void)state;
    moe_storage *store = open_or_fail(path_of("deep/er/a.db"));
    int64_t device, again;
    char ptx[] = "ptx text", log[] = "log text", hash[MOE_HASH_SIZE], *source = NULL;
    bool found;
    assert_int_equal(moe_storage_device(store, &facts, &device), MOE_OK);
    assert_int_equal(moe_storage_device(store, &facts, &again), MOE_OK);
    assert_int_equal(device, again);

    const moe_record record = record_of(0);
    const moe_compiled compiled = image_of(ptx, log);
    moe_record read = record_of(0);
    assert_int_equal(moe_storage_find(store, device, &read, hash, &found), MOE_OK);
    assert_false(found);
    const moe_evidence evidence = {.samples = "1 2 3", .compiled = &compiled, .source = "cuda"};
    assert_int_equal(moe_storage_put(store, device, &record, &evidence), MOE_OK);
    memset(&read.measurement, 0, sizeof read.measurement);
    memset(&read.provenance, 0, sizeof read.provenance);
    assert_int_equal(moe_storage_find(store, device, &read, hash, &found), MOE_OK);
    assert_true(found);
    assert_same_record(&read, &record);
    assert_string_equal(hash, compiled.hash);

    moe_compiled back;
    assert_int_equal(moe_storage_image(store, hash, &back, &source, &found), MOE_OK);
    assert_true(found);
    assert_string_equal(back.ptx, ptx);
    assert_string_equal(back.log, log);
    assert_string_equal(source, "cuda");
    assert_int_equal(back.image.cubin_size, 3);
    assert_int_equal(back.image.launch.kernel[0].regs, 40);
    assert_int_equal(back.image.launch.align, 16);
    moe_compiled_free(&back);
    free(source);
    assert_int_equal(moe_storage_image(store, "no such hash", &back, NULL, &found), MOE_OK);
    assert_false(found);
    moe_storage_close(store);
}

static moe_status count_record(void *context, const moe_record *record, const char *image) {
    (void)record, (void)image;
    ++*(int *)context;
    return MOE_OK;
}

static int count_records(moe_storage *store) {
    int64_t device;
    int count = 0;
    assert_int_equal(moe_storage_device(store, &facts, &device), MOE_OK);
    assert_int_equal(moe_storage_records(store, device, count_record, &count), MOE_OK);
    return count;
}

static void test_a_second_put_replaces_but_keeps_the_image(void **state) {
    (void)state;
    moe_storage *store = open_or_fail(path_of("b.db"));
    int64_t device;
    char ptx[] = "ptx", log[] = "", hash[MOE_HASH_SIZE];
    bool found;
    assert_int_equal(moe_storage_device(store, &facts, &device), MOE_OK);
    moe_record record = record_of(1);
    const moe_compiled compiled = image_of(ptx, log);
    const moe_evidence full = {.compiled = &compiled, .source = "cuda"}, none = {0};
    assert_int_equal(moe_storage_put(store, device, &record, &full), MOE_OK);
    record.measurement.med = 7;
    assert_int_equal(moe_storage_put(store, device, &record, &none), MOE_OK);
    moe_record read = record_of(1);
    assert_int_equal(moe_storage_find(store, device, &read, hash, &found), MOE_OK);
    assert_same_record(&read, &record);
    assert_string_equal(hash, compiled.hash);
    assert_int_equal(count_records(store), 1);
    moe_storage_close(store);
}

static moe_status keep_choice(void *context, const moe_choice *choice) {
    *(moe_choice *)context = *choice;
    return MOE_OK;
}

static void test_a_choice_reads_back_and_needs_its_records(void **state) {
    (void)state;
    moe_storage *store = open_or_fail(path_of("c.db"));
    int64_t device;
    const moe_record record = record_of(3);
    const moe_evidence none = {0};
    moe_choice choice = {
        .layer = test_layer(), .t = 16, .steps = 1,
        .step = {{MOE_OP_gemm_up, "grouped_gemm@1f3c9a0b", record.config}},
        .measurement = record.measurement, .provenance = record.provenance,
    };
    choice.provenance.is_default = 0;
    assert_int_equal(moe_storage_device(store, &facts, &device), MOE_OK);
    assert_int_equal(moe_storage_put_choice(store, device, &choice), MOE_E_INVALID);
    moe_choice read = {0};
    assert_int_equal(moe_storage_choices(store, device, keep_choice, &read), MOE_OK);
    assert_int_equal(read.steps, 0); /* rolled back */

    assert_int_equal(moe_storage_put(store, device, &record, &none), MOE_OK);
    assert_int_equal(moe_storage_put_choice(store, device, &choice), MOE_OK);
    choice.measurement.med = 99;
    assert_int_equal(moe_storage_put_choice(store, device, &choice), MOE_OK);
    assert_int_equal(moe_storage_choices(store, device, keep_choice, &read), MOE_OK);
    char a[4096], b[4096];
    moe_choice_print(&choice, a, sizeof a);
    moe_choice_print(&read, b, sizeof b);
    assert_string_equal(a, b);
    moe_storage_close(store);
}

/* Writes records without end and reports each one that is committed. */
static void write_for_ever(const char *path, int report) {
    moe_storage *store;
    int64_t device;
    const moe_evidence none = {0};
    if (moe_storage_open(path, &store) || moe_storage_device(store, &facts, &device)) _exit(1);
    for (int64_t i = 0;; i++) {
        const moe_record record = record_of(i);
        if (moe_storage_put(store, device, &record, &none)) _exit(1);
        if (write(report, "x", 1) != 1) _exit(1);
    }
}

static void test_a_kill_loses_no_reported_record(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s", path_of("kill.db"));
    int before = 0;
    for (int round = 0; round < 5; round++) {
        int ends[2], status, reported = 0;
        char byte;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) write_for_ever(path, ends[1]);
        close(ends[1]);
        while (reported < 15 + round && read(ends[0], &byte, 1) == 1) reported++;
        kill(child, SIGKILL);
        while (read(ends[0], &byte, 1) == 1) reported++;
        waitpid(child, &status, 0);
        close(ends[0]);
        assert_true(WIFSIGNALED(status));
        moe_storage *store = open_or_fail(path);
        int kept = count_records(store);
        assert_true(kept >= reported);
        assert_true(kept <= (reported > before ? reported : before) + 1);
        before = kept;
        moe_storage_close(store);
    }
}

static void test_two_writers_wait_for_each_other(void **state) {
    (void)state;
    enum { EACH = 30 };
    char path[256];
    snprintf(path, sizeof path, "%s", path_of("two.db"));
    pid_t children[2];
    for (int c = 0; c < 2; c++) {
        children[c] = fork();
        if (children[c]) continue;
        moe_storage *store;
        int64_t device;
        const moe_evidence none = {0};
        if (moe_storage_open(path, &store) || moe_storage_device(store, &facts, &device)) _exit(1);
        for (int i = 0; i < EACH; i++) {
            const moe_record record = record_of(2 * i + c);
            if (moe_storage_put(store, device, &record, &none)) _exit(2);
        }
        moe_storage_close(store);
        _exit(0);
    }
    for (int c = 0; c < 2; c++) {
        int status;
        waitpid(children[c], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    moe_storage *store = open_or_fail(path);
    assert_int_equal(count_records(store), 2 * EACH);
    moe_storage_close(store);
}

/* The limit on file sizes stands in for a full disk: writes fail in the same place. */
static void test_a_full_disk_is_an_error_and_keeps_what_was_written(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s", path_of("full.db"));
    int ends[2], status, written = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = {120000, 120000};
        moe_storage *store;
        int64_t device, i = 0;
        const moe_evidence none = {0};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        if (moe_storage_open(path, &store) || moe_storage_device(store, &facts, &device)) _exit(1);
        moe_record record = record_of(0);
        while (!moe_storage_put(store, device, &record, &none)) record = record_of(++i);
        bool good = i > 10 && strstr(moe_error_text(), "disk") != NULL;
        if (write(ends[1], &i, sizeof(int)) != sizeof(int)) good = false;
        moe_storage_close(store);
        _exit(good ? 0 : 2);
    }
    assert_int_equal(read(ends[0], &written, sizeof written), sizeof written);
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    moe_storage *store = open_or_fail(path);
    assert_int_equal(count_records(store), written);
    moe_storage_close(store);
}

static void test_hopeless_paths_say_what_to_do(void **state) {
    (void)state;
    moe_storage *store;
    FILE *file = fopen(path_of("text.db"), "w");
    assert_non_null(file);
    for (int i = 0; i < 200; i++) fputs("this is not a database\n", file);
    fclose(file);
    const struct {
        const char *path;
        moe_status status;
    } cases[] = {
        {"/proc/moetune/x.db", MOE_E_IO}, /* a folder that cannot be made, even by root */
        {"/proc/x.db", MOE_E_IO},
        {"/tmp", MOE_E_IO},
        {path_of("text.db"), MOE_E_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(moe_storage_open(cases[i].path, &store), cases[i].status);
        assert_non_null(strstr(moe_error_text(), "--db FILE"));
    }
}

/* Kernels compiled for another version take other arguments, so the file is left as it is. */
static void test_other_versions_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *version, *advice;
    } cases[] = {{"1", "move it away and tune anew"}, {"9", "update moetune"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[64];
        moe_storage *store = NULL;
        sqlite3 *db = NULL;
        if (moe_storage_open(path_of("version.db"), &store)) fail_msg("%s", moe_error_text());
        moe_storage_close(store);
        snprintf(sql, sizeof sql, "PRAGMA user_version = %s", cases[i].version);
        assert_int_equal(sqlite3_open(path_of("version.db"), &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(moe_storage_open(path_of("version.db"), &store), MOE_E_CORRUPT);
        assert_non_null(strstr(moe_error_text(), cases[i].advice));
        assert_int_equal(moe_storage_open_existing(path_of("version.db"), &store), MOE_E_CORRUPT);
        assert_int_equal(unlink(path_of("version.db")), 0);
    }
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : 1;
}

static int drop_folder(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_and_its_image_read_back),
        cmocka_unit_test(test_a_second_put_replaces_but_keeps_the_image),
        cmocka_unit_test(test_a_choice_reads_back_and_needs_its_records),
        cmocka_unit_test(test_a_kill_loses_no_reported_record),
        cmocka_unit_test(test_two_writers_wait_for_each_other),
        cmocka_unit_test(test_a_full_disk_is_an_error_and_keeps_what_was_written),
        cmocka_unit_test(test_hopeless_paths_say_what_to_do),
        cmocka_unit_test(test_other_versions_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
