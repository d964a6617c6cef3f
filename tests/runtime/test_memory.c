/* label: unit - the n-th allocation fails, for every n: each failure is reported as one and nothing
 * leaks (which the sanitizer build sees). The linker wraps the allocator: see tests.cmake. */
#include "check.h"
#include "recorder.h"
#include "synthetic.h"

#include <stdio.h>
#include <stdlib.h>

#define LAYER "d=64 f=32 e=8 k=2"
#define FACTS "sm_90a \"test\" sms=10 smem=232448 simulated=1"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static int64_t countdown; /* allocations until all further ones fail; 0: they all succeed */
static bool failed;

static bool refuse(void) {
    if (!countdown) return false;
    if (countdown > 1) return countdown--, false;
    return failed = true;
}

void *__wrap_malloc(size_t size) { return refuse() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) {
    return refuse() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *memory, size_t size) {
    return refuse() ? NULL : __real_realloc(memory, size);
}

static char folder[256], path[300];

static void make_db(void) {
    sqlite3 *db = synthetic_open(path);
    int64_t device = synthetic_device(db, FACTS), records[MOE_STEP_COUNT];
    synthetic_image(db, "i", "sm_80", "kernel=k grid=tokens(16) block=32", "cp");
    for (int64_t tokens = 1; tokens <= 1 << 19; tokens *= 2)
        for (int kind = 0; kind < MOE_STEP_COUNT; kind++)
            records[kind] = synthetic_record(
                db, &(synthetic_row){.device = device, .kind = (moe_op_kind)kind, .layer = LAYER,
                                     .tokens = tokens, .n = 1, .med = 1, .image = "i"});
    synthetic_choice(db, device, LAYER, 1 << 19, 1, records);
    synthetic_close(db);
}

/* Opens, overlays, plans and closes. */
static moe_status use(recorder *device) {
    moe_layer layer;
    moe_db *db = NULL;
    moe_plan *plan = NULL;
    moe_status status = moe_layer_parse(LAYER, &layer);
    if (!status) status = moe_db_open(path, &db);
    if (!status) status = moe_db_overlay(db, path);
    if (!status) status = moe_plan_create(db, &device->device, &layer, NULL, &plan);
    moe_plan_destroy(plan);
    moe_db_close(db);
    return status;
}

static void test_every_allocation(void **unused) {
    (void)unused;
    scratch_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/tuning.db", folder);
    make_db();
    recorder *device = recorder_open(FACTS);
    CHECK(use(device));
    int64_t failures = 0;
    for (int64_t n = 1;; n++) {
        failed = false;
        countdown = n;
        moe_status status = use(device);
        countdown = 0;
        if (!failed) break;
        failures++;
        /* SQLite does without some of its memory, at a price. */
        if (status != MOE_OK && status != MOE_E_MEMORY)
            fail_msg("allocation %lld: %s: %s", (long long)n, moe_status_text(status),
                     moe_error_text());
        assert_int_equal(device->loads, device->unloads);
    }
    assert_true(failures > 50);
    CHECK(use(device));
    recorder_close(device);
    scratch_remove(folder);
}

static void test_null_device(void **unused) {
    (void)unused;
    moe_device *device = NULL;
    for (int64_t n = 1; n <= 2; n++) {
        countdown = n;
        moe_status status = moe_device_open("null", &device);
        countdown = 0;
        assert_int_equal(status, MOE_E_MEMORY);
        assert_null(device);
    }
    CHECK(moe_device_open("null", &device));
    moe_device_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation),
                                       cmocka_unit_test(test_null_device)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
