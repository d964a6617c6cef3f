/* workbench.c - a tuner on a simulated GPU with a database in a folder of its own, for tests. */
#include "workbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void workbench_folder(char folder[64]) {
    strcpy(folder, "/tmp/moetune-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

void workbench_remove(const char *folder) {
    char command[128];
    assert_memory_equal(folder, "/tmp/moetune-test-", 18);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

static void need(moe_status status) {
    if (status) fail_msg("%s", moe_error_text());
}

void workbench_open(workbench *bench, const char *device, const char *templates, const char *db) {
    moe_tuner *tuner = &bench->tuner;
    *bench = (workbench){0};
    need(moe_compile_pool_open(2, 30, &bench->pool));
    need(moe_gen_open(templates, &bench->gen));
    need(moe_storage_open(db, &bench->storage));
    need(moe_device_open(device, &bench->device));
    tuner->device = bench->device;
    tuner->facts = moe_device_facts(bench->device);
    need(moe_storage_device(bench->storage, tuner->facts, &tuner->device_row));
    need(moe_builder_open(tuner->facts->arch, bench->storage, bench->pool, &bench->builder));
    tuner->gen = bench->gen;
    tuner->store = bench->storage;
    tuner->pool = bench->pool;
    tuner->builder = bench->builder;
    tuner->limit = 100;
    tuner->workers = 2;
    tuner->seed = 1;
    tuner->flop_rate = 2e9;
    tuner->progress = moe_progress_start(true);
    moe_tuner_provenance(bench->device, "13.0", &tuner->provenance);
    moe_meter_init(&tuner->meter, bench->device);
}

void workbench_close(workbench *bench) {
    moe_builder_close(bench->builder);
    moe_device_close(bench->device);
    moe_storage_close(bench->storage);
    moe_gen_close(bench->gen);
    moe_compile_pool_close(bench->pool);
}
