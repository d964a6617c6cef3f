/* label: sim
 * test_dependency.c - programmatic dependent launch: what a kernel may touch before it has waited
 * for those ahead of it. */
#include "core/status.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* out[t] = in[t] + weights[t]; `early` reads: 1 = in, 2 = weights; 3 = writes before the wait; 4 =
 * lets the next launch start before it. */
static const char *const source =
    "extern \"C\" __global__ void k(const int *in, const int *weights, int *out, int early) {\n"
    "    int t = threadIdx.x, w = 0, v = 0;\n"
    "    if (early == 1) v = in[t];\n"
    "    if (early == 2) w = weights[t];\n"
    "    if (early == 3) out[t] = 0;\n"
    "    if (early == 4) asm volatile(\"griddepcontrol.launch_dependents;\");\n"
    "    asm volatile(\"griddepcontrol.wait;\" ::: \"memory\");\n"
    "    asm volatile(\"griddepcontrol.launch_dependents;\");\n"
    "    if (early != 1) v = in[t];\n"
    "    if (early != 2) w = weights[t];\n"
    "    out[t] = v + w;\n"
    "}\n";

enum { COUNT = 64 };

typedef struct arguments {
    moe_ptr in, weights, out;
    int early;
} arguments;

static moe_status launch(sim_rig *rig, arguments args, bool overlap) {
    const moe_dims dims = {.grid = {1, 1, 1}, .block = {COUNT, 1, 1}, .cluster = 1,
                           .overlap = overlap};
    return moe_device_sim.launch(rig->self, rig->module, 0, &dims, &args, sizeof args, NULL);
}

/* Two launches, one behind the other: the second reads what the first wrote. */
static moe_status chain(int early, bool overlap, const char *expect) {
    int ones[COUNT], got[COUNT];
    sim_rig rig;
    rig_open(&rig, "h100");
    rig_cuda(&rig, source, "compute_90a");
    for (int i = 0; i < COUNT; i++) ones[i] = 1;
    moe_ptr in = rig_buffer(&rig, ones, sizeof ones), weights = rig_buffer(&rig, ones, sizeof ones);
    moe_ptr middle = rig_buffer(&rig, NULL, sizeof ones), out = rig_buffer(&rig, NULL, sizeof ones);
    assert_int_equal(launch(&rig, (arguments){in, weights, middle, 0}, false), MOE_OK);
    moe_status status = launch(&rig, (arguments){middle, weights, out, early}, overlap);
    if (expect) assert_non_null(strstr(moe_error_text(), expect));
    if (!status) {
        rig_read(&rig, got, out, sizeof got);
        for (int i = 0; i < COUNT; i++) assert_int_equal(got[i], 3);
    }
    rig_close(&rig);
    return status;
}

static void a_kernel_that_waits_is_clean(void **state) {
    (void)state;
    assert_int_equal(chain(0, true, NULL), MOE_OK);
}

static void weights_may_be_read_before(void **state) {
    (void)state;
    assert_int_equal(chain(2, true, NULL), MOE_OK);
}

static void what_a_kernel_ahead_writes_may_not(void **state) {
    (void)state;
    assert_int_equal(chain(1, true, "missing griddepcontrol.wait"), MOE_E_FAULT);
}

static void nothing_may_be_written_before(void **state) {
    (void)state;
    assert_int_equal(chain(3, true, "writes global memory"), MOE_E_FAULT);
}

/* Three launches: the last one reads early what the first one wrote. */
static moe_status longer_chain(int middle_early) {
    int ones[COUNT];
    sim_rig rig;
    rig_open(&rig, "h100");
    rig_cuda(&rig, source, "compute_90a");
    for (int i = 0; i < COUNT; i++) ones[i] = 1;
    moe_ptr in = rig_buffer(&rig, ones, sizeof ones), first = rig_buffer(&rig, NULL, sizeof ones);
    moe_ptr middle = rig_buffer(&rig, NULL, sizeof ones), out = rig_buffer(&rig, NULL, sizeof ones);
    assert_int_equal(launch(&rig, (arguments){in, in, first, 0}, false), MOE_OK);
    assert_int_equal(launch(&rig, (arguments){in, in, middle, middle_early}, true), MOE_OK);
    moe_status status = launch(&rig, (arguments){middle, first, out, 2}, true);
    rig_close(&rig);
    return status;
}

static void older_writes_may_be_read_before(void **state) {
    (void)state;
    assert_int_equal(longer_chain(0), MOE_OK);
}

static void unless_the_launch_between_was_hasty(void **state) {
    (void)state;
    assert_int_equal(longer_chain(4), MOE_E_FAULT);
}

static void launches_in_order_need_no_wait(void **state) {
    (void)state;
    assert_int_equal(chain(1, false, NULL), MOE_OK);
    assert_int_equal(chain(3, false, NULL), MOE_OK);
}

/* One warp waits for the launches ahead, and the other comes behind it by a barrier of the block;
 * `early`: the other does not. */
static const char *const by_one_warp =
    "extern \"C\" __global__ void k(const int *in, const int *weights, int *out, int early) {\n"
    "    int t = threadIdx.x;\n"
    "    if (t < 32) asm volatile(\"griddepcontrol.wait;\" ::: \"memory\");\n"
    "    if (early == 0) __syncthreads();\n"
    "    out[t] = in[t] + weights[t];\n"
    "}\n";

static moe_status wait_by_one_warp(int early) {
    int ones[COUNT];
    sim_rig rig;
    rig_open(&rig, "h100");
    for (int i = 0; i < COUNT; i++) ones[i] = 1;
    moe_ptr in = rig_buffer(&rig, ones, sizeof ones), middle = rig_buffer(&rig, NULL, sizeof ones);
    moe_ptr out = rig_buffer(&rig, NULL, sizeof ones);
    rig_cuda(&rig, source, "compute_90a");
    assert_int_equal(launch(&rig, (arguments){in, in, middle, 0}, false), MOE_OK);
    rig_cuda(&rig, by_one_warp, "compute_90a");
    moe_status status = launch(&rig, (arguments){middle, in, out, early}, true);
    rig_close(&rig);
    return status;
}

static void one_warp_may_wait_for_all(void **state) {
    (void)state;
    assert_int_equal(wait_by_one_warp(0), MOE_OK);
}

static void if_the_others_come_behind_it(void **state) {
    (void)state;
    assert_int_equal(wait_by_one_warp(1), MOE_E_FAULT);
    assert_non_null(strstr(moe_error_text(), "missing griddepcontrol.wait"));
    assert_non_null(strstr(moe_error_text(), "warp 1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_that_waits_is_clean),
        cmocka_unit_test(weights_may_be_read_before),
        cmocka_unit_test(what_a_kernel_ahead_writes_may_not),
        cmocka_unit_test(nothing_may_be_written_before),
        cmocka_unit_test(older_writes_may_be_read_before),
        cmocka_unit_test(unless_the_launch_between_was_hasty),
        cmocka_unit_test(launches_in_order_need_no_wait),
        cmocka_unit_test(one_warp_may_wait_for_all),
        cmocka_unit_test(if_the_others_come_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
