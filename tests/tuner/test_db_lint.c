/* label: unit
 * moetune db lint: sound records give no finding, and each kind of damage gives its own, by
 * line. */
#include "core/pipeline.h"
#include "db/db_lint.h"
#include "db/records_text.h"
#include "db_files.h"
#include "own_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DATE "2026-05-01T00:00:00Z"

static moe_gen *gen;

/* A database with two records of each step of a layer, by templates as they are at hand, and the
 * layer made of the first ones. */
static void write_sound(const char *path) {
    const moe_pipeline_info *form = &moe_pipeline_table[MOE_PIPELINE_separate];
    moe_choice layer = db_files_layer("00000001", 1, 5000, DATE);
    const char *id = moe_template_id(moe_gen_at(gen, 0));
    char ptx[] = "ptx";
    unlink(path);
    layer.steps = form->steps;
    for (int i = 0; i < 2 * form->steps; i++) {
        moe_op_kind kind = form->step[i / 2].op;
        moe_record record = db_files_record("00000001", 1 + i % 2, 3, 20, DATE);
        record.op = moe_op_make(kind, &layer.layer, layer.t, layer.routing, layer.cache);
        record.measurement.mad = 10;
        snprintf(record.template_id, sizeof record.template_id, "%s", id);
        db_files_put(path, &record, "10.0 20.0 30.0", ptx);
        if (i % 2) continue;
        layer.step[i / 2] = (moe_step){.kind = kind, .config = record.config};
        snprintf(layer.step[i / 2].template_id, sizeof layer.step[0].template_id, "%s", id);
    }
    db_files_put_layer(path, &layer);
}

static void write_records(const char *db, const char *to) {
    moe_records_count count;
    moe_storage *store = db_files_open(db);
    if (moe_records_export(store, to, true, &count)) fail_msg("%s", moe_error_text());
    moe_storage_close(store);
}

/* What lint says of a path; the caller frees it. */
static char *lint(const char *path, moe_lint *out) {
    char *text = NULL;
    size_t size;
    *out = (moe_lint){.gen = gen, .to = open_memstream(&text, &size)};
    assert_non_null(out->to);
    if (moe_db_lint(out, path)) fail_msg("%s", moe_error_text());
    fclose(out->to);
    return text;
}

static void shell(const char *format, ...) {
    char command[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

static void test_sound_rows_have_no_findings(void **state) {
    (void)state;
    moe_lint found;
    write_sound(in_folder("sound.db"));
    write_records(in_folder("sound.db"), in_folder("records"));
    char *text = lint(in_folder("records"), &found);
    assert_string_equal(text, "");
    assert_int_equal(found.files, 6);
    assert_int_equal(found.rows, 11);
    free(text);
    text = lint(in_folder("sound.db"), &found);
    assert_string_equal(text, "");
    assert_int_equal(found.rows, 11);
    free(text);
}

static void test_each_damage_of_a_text_is_found(void **state) {
    (void)state;
    static const struct {
        const char *file, *edit, *finding; /* sed's */
        int findings;
    } cases[] = {
        {"gemm_up", "1s/records/recipes/", "gemm_up.txt:1: a file of records starts", 1},
        {"gemm_up", "2s/device/devise/", "gemm_up.txt:2: it should read 'device FACTS'", 1},
        {"gemm_up", "2s/sms=4 /sms=04 /", "gemm_up.txt:2: not as it is written", 1},
        {"gemm_up", "3s/ok n=3/ok n=x/", "gemm_up.txt:3: measurement", 1},
        {"gemm_up", "3s/n=3 med=20 mad=10/mad=10 n=3 med=20/", "gemm_up.txt:3: not as it is", 1},
        {"gemm_up", "3s/t=16/t=016/", "'016 d=64", 1},
        {"gemm_up", "3{h;d};4G", "gemm_up.txt:4: out of order", 1},
        {"gemm_up", "4{s/number=2/number=1/;s/med=20/med=21/}",
         "gemm_up.txt:4: the same key as line 3",
         1},
        {"gemm_up", "3s/^/\\n/", "gemm_up.txt:3: an empty line", 1},
        {"gemm_up", "4s/ok n=3/wrong n=3/", "gemm_up.txt:4: a candidate that failed", 1},
        {"gemm_up", "4s/med=20/med=0/", "gemm_up.txt:4: it is ok and has samples", 1},
        {"gemm_up", "4s/n=3/n=0/", "gemm_up.txt:4: n=0 means never timed", 1},
        {"gemm_up", "4s/n=3/n=1/", "gemm_up.txt:4: one sample has no spread", 1},
        {"gemm_up", "4s/err=0.001/err=-1/", "gemm_up.txt:4: n, med, mad and err", 1},
        {"gemm_up", "4s/timer=model/timer=cupti/", "gemm_up.txt:4: a simulated device has", 1},
        {"gemm_up", "4s/timer=model/timer=none/", "it has samples, so timer should not", 2},
        {"gemm_up", "2s/simulated=1/simulated=0/", "gemm_up.txt:3: timer=model on a real device",
         2},
        {"gemm_up", "4s/driver=none/driver=-/", "gemm_up.txt:4: its provenance lacks driver=", 1},
        {"gemm_up", "4s/commit=abcdef/commit=-/", "provenance lacks commit=", 1},
        {"gemm_up", "4s/05-01T/05-1T/", "gemm_up.txt:4: date=", 1},
        {"gemm_up", "3,4s/gemm_up/gemm_down/", "gemm_up.txt:3: a record of gemm_down belongs", 2},
        {"gemm_up", "3d", "layer.txt:3: no record, or none that is ok, of its step 'gemm_up", 1},
        {"layer", "3s/gemm_up gemm_down/gemm_down gemm_up/", "layer.txt:3: its steps make no", 1},
        {"layer", "3s/timer=model/timer=events/", "layer.txt:3: a simulated device has", 1},
        {"layer", "3s/cache=cold/cache=tepid/", "layer.txt:3: choice", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_lint found;
        shell("rm -rf %s; cp -r %s %s; sed -i '%s' %s/sim-test/%s.txt", in_folder("bad"),
              in_folder("records"), in_folder("bad"), cases[i].edit, in_folder("bad"),
              cases[i].file);
        char *text = lint(in_folder("bad"), &found);
        if (!strstr(text, cases[i].finding) || found.findings < cases[i].findings)
            fail_msg("%s %s: %lld findings: %s", cases[i].file, cases[i].edit,
                     (long long)found.findings, text);
        free(text);
    }
}

static void test_simulated_devices_are_exported_on_request(void **state) {
    (void)state;
    moe_records_count count;
    moe_storage *store = db_files_open(in_folder("sound.db"));
    if (moe_records_export(store, in_folder("measured"), false, &count))
        fail_msg("%s", moe_error_text());
    moe_storage_close(store);
    assert_int_equal(count.simulated, 1);
    assert_int_equal(count.devices + count.files + count.records, 0);
    shell("rmdir %s", in_folder("measured")); /* nothing is in it */
}

static void test_modelled_times_keep_out_of_real_folders(void **state) {
    (void)state;
    moe_lint found;
    shell("rm -rf %s; mkdir %s; cp -r %s/sim-test %s/nvidia-h100", in_folder("bad"),
          in_folder("bad"), in_folder("records"), in_folder("bad"));
    char *text = lint(in_folder("bad"), &found);
    assert_non_null(strstr(text, "route.txt:2: modelled times in 'nvidia-h100', the folder of a "
                                 "real device; they belong in 'sim-test'"));
    assert_int_equal(found.findings, 6);
    free(text);
}

static void test_stale_templates_are_warnings(void **state) {
    (void)state;
    moe_lint found;
    shell("rm -rf %s; cp -r %s %s; sed -i 's/@......../@00000000/' %s/sim-test/gemm_up.txt; "
          "sed -i 's/[a-z_0-9]*@......../vanished@00000000/' %s/sim-test/combine.txt; "
          "rm %s/sim-test/layer.txt", in_folder("bad"), in_folder("records"), in_folder("bad"),
          in_folder("bad"), in_folder("bad"), in_folder("bad"));
    char *text = lint(in_folder("bad"), &found);
    assert_non_null(strstr(text, "gemm_up.txt:3: warning: "));
    assert_non_null(strstr(text, "@00000000 has changed since (now "));
    assert_non_null(strstr(text, "combine.txt:3: warning: there is no template vanished@00000000"));
    assert_int_equal(found.findings, 0);
    assert_int_equal(found.warnings, 2); /* once a file, however many rows */
    free(text);
}

static void test_each_damage_of_a_database_is_found(void **state) {
    (void)state;
    static const struct {
        const char *sql, *finding;
    } cases[] = {
        {"UPDATE record SET config = 'number=x' WHERE id = 1", "row 1 of table record: "},
        {"UPDATE choice SET layer = 'd=none'", "row 1 of table choice: "},
        {"UPDATE device SET text = 'a toaster'", "row 1 of table device: "},
        {"UPDATE record SET shape = 'e=4 d=64 k=2 x=bf16 router=softmax>topk>renorm' WHERE id = 1",
         "no lookup finds it"},
        {"UPDATE record SET samples = '10.0 20.0' WHERE id = 1", "n=3, but 2 samples are kept"},
        {"UPDATE record SET samples = '10.0 25.0 30.0' WHERE id = 1",
         "med=20 mad=10, but its samples have med=25 mad=5"},
        {"UPDATE record SET samples = 'a b c' WHERE id = 1", "no list of numbers: 'a b c'"},
        {"UPDATE record SET timer = 'cupti' WHERE id = 1", "timer should be model"},
        {"UPDATE record SET outcome = 'faulted', n = 0, med = 0, mad = 0, samples = '' "
         "WHERE id = 1", "is a kernel that failed"},
        {"DELETE FROM choice_step WHERE step = 1", "its steps make no layer"},
        {"DELETE FROM record WHERE id = 1", "names a row of record that is not there"},
        {"DELETE FROM image", "names a row of image that is not there"},
        {"UPDATE image SET ptx = NULL", "has no code"},
        {"UPDATE image SET launch = 'by hand'", "image 0"},
        {"UPDATE choice SET date = 'today'", "date=today should read like"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_lint found;
        shell("cp %s %s", in_folder("sound.db"), in_folder("bad.db"));
        db_files_sql(in_folder("bad.db"), cases[i].sql);
        char *text = lint(in_folder("bad.db"), &found);
        if (!strstr(text, cases[i].finding) || !found.findings)
            fail_msg("%s: %s", cases[i].sql, text);
        free(text);
    }
}

static void test_what_is_not_there_is_an_error(void **state) {
    (void)state;
    moe_lint none = {.gen = gen, .to = stdout};
    assert_int_equal(moe_db_lint(&none, in_folder("nothing.txt")), MOE_E_NOT_FOUND);
    assert_int_equal(moe_db_lint(&none, in_folder("nothing.db")), MOE_E_NOT_FOUND);
    shell("mkdir -p %s", in_folder("empty"));
    assert_int_equal(moe_db_lint(&none, in_folder("empty")), MOE_E_NOT_FOUND);
    shell("seq 1 2000 > %s", in_folder("text.db"));
    assert_int_equal(moe_db_lint(&none, in_folder("text.db")), MOE_E_CORRUPT);
}

static int start(void **state) {
    return own_folder_make(state) || moe_gen_open("templates", &gen) != MOE_OK;
}

static int stop(void **state) {
    moe_gen_close(gen);
    return own_folder_drop(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_rows_have_no_findings),
        cmocka_unit_test(test_each_damage_of_a_text_is_found),
        cmocka_unit_test(test_simulated_devices_are_exported_on_request),
        cmocka_unit_test(test_modelled_times_keep_out_of_real_folders),
        cmocka_unit_test(test_stale_templates_are_warnings),
        cmocka_unit_test(test_each_damage_of_a_database_is_found),
        cmocka_unit_test(test_what_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
