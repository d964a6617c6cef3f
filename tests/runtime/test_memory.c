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
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

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

void *__wrap_aligned_alloc(size_t align, size_t size) {
    return refuse() ? NULL : __real_aligned_alloc(align, size);
}

static char folder[256], path[300];

static void make_db(void) {
    sqlite3 *db = synthetic_open(path);
    int64_t device = synthetic_device(db, FACTS), records[MOE_PLAIN_OPS];
    synthetic_image(db, "i", "sm_80", "kernel=k grid=tokens(16) block=32", "cp");
    for (int64_t tokens = 1; tokens <= 1 << 19; tokens *= 2)
        for (int kind = 0; kind < MOE_PLAIN_OPS; kind++)
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

/* A run allocates nothing, and binding one a single block. */
static void test_runs(void **unused) {
    (void)unused;
    scratch_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/tuning.db", folder);
    make_db();
    recorder *device = recorder_open(FACTS);
    void *some = (void *)(uintptr_t)4096;
    moe_io io = {.size = sizeof io, .x = some, .router_weight = some, .up = some, .down = some,
                 .y = some, .counts = some, .workspace = some, .workspace_size = (size_t)1 << 40};
    moe_layer layer;
    moe_db *db = NULL;
    moe_plan *plan = NULL;
    moe_bound *bound = NULL;
    CHECK(moe_layer_parse(LAYER, &layer));
    CHECK(moe_db_open(path, &db));
    CHECK(moe_plan_create(db, &device->device, &layer, NULL, &plan));
    failed = false;
    countdown = 1;
    moe_status none = moe_plan_bind(plan, &io, 16, &bound);
    assert_true(failed && !bound);
    countdown = 2;
    moe_status one = moe_plan_bind(plan, &io, 16, &bound);
    failed = false;
    countdown = 1;
    moe_status again = moe_bound_run(bound, NULL), run = moe_plan_run(plan, &io, 16, NULL);
    countdown = 0;
    assert_int_equal(none, MOE_E_MEMORY);
    assert_true(!one && !again && !run && !failed);
    moe_bound_destroy(bound);
    moe_plan_destroy(plan);
    moe_db_close(db);
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
                                       cmocka_unit_test(test_runs),
                                       cmocka_unit_test(test_null_device)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
