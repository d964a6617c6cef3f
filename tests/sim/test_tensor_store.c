/* label: sim */
/* test_tensor_store.c - bulk stores by tensor maps: what a warp issues together is one operation,
 * and elements outside of the tensor are neither read nor written. */
#include "core/status.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 8, COLUMNS = 32, BYTES = ROWS * COLUMNS * 2 };

/* Lanes below `writers` fill 16 bytes each of a box of 8 rows of 32 bf16; then the warp stores it
 * from row y on, where y is `y`, plus `step` for the upper half of the lanes. */
static const char kernel[] =
    ".version 8.0\n.target sm_90a\n.address_size 64\n"
    ".visible .entry k(.param .align 64 .b8 map[128])\n{\n"
    "    .reg .b32 %%t, %%s, %%a, %%v, %%x, %%y, %%z;\n    .reg .b64 %%m;\n    .reg .pred %%p;\n"
    "    .shared .align 128 .b8 box[512];\n"
    "    mov.u32 %%t, %%tid.x;\n    mov.u32 %%s, box;\n    shl.b32 %%a, %%t, 4;\n"
    "    add.u32 %%a, %%a, %%s;\n    mov.b32 %%v, 0x3f803f80;\n    setp.lt.u32 %%p, %%t, %d;\n"
    "    @%%p st.shared.v4.b32 [%%a], {%%v, %%v, %%v, %%v};\n"
    "    fence.proxy.async.shared::cta;\n    bar.sync 0;\n"
    "    mov.b64 %%m, map;\n    cvta.param.u64 %%m, %%m;\n    mov.b32 %%x, 0;\n"
    "    shr.u32 %%y, %%t, 4;\n    mul.lo.u32 %%y, %%y, %d;\n    add.u32 %%y, %%y, %d;\n"
    "    cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%%m, {%%x, %%y}], [%%s];\n"
    "    cp.async.bulk.commit_group;\n    cp.async.bulk.wait_group 0;\n    ret;\n}\n";

typedef struct store {
    int writers, step, y;
} store;

/* Rows that the kernel has set to one, as bits; the status of its launch in *status. */
static uint32_t rows_stored(store how, moe_status *status) {
    uint16_t got[2 * ROWS * COLUMNS];
    char text[2048];
    _Alignas(64) unsigned char map[128];
    uint32_t rows = 0;
    sim_rig rig;

    rig_open(&rig, "h100");
    moe_ptr out = rig_buffer(&rig, NULL, sizeof got);
    rig_zero(&rig, out, sizeof got);
    const moe_tensor_view view = {.address = out, .dtype = MOE_BF16, .rank = 2,
                                  .size = {COLUMNS, 2 * ROWS}, .stride = {2, 2 * COLUMNS},
                                  .box = {COLUMNS, ROWS}};
    assert_int_equal(moe_device_sim.tensor_map(rig.self, &view, map), MOE_OK);
    snprintf(text, sizeof text, kernel, how.writers, how.step, how.y);
    rig_load(&rig, text, "k");
    *status = rig_try(&rig, 1, 32, 0, map, sizeof map);
    rig_read(&rig, got, out, sizeof got);
    for (int r = 0; r < 2 * ROWS; r++) rows |= (uint32_t)(got[r * COLUMNS] == 0x3f80) << r;
    rig_close(&rig);
    return rows;
}

static void a_warp_stores_one_box(void **state) {
    moe_status status;

    (void)state;
    assert_int_equal(rows_stored((store){.writers = 32}, &status), 0x00ff);
    assert_int_equal(status, MOE_OK);
}

static void different_operands_are_different_stores(void **state) {
    moe_status status;

    (void)state;
    assert_int_equal(rows_stored((store){.writers = 32, .step = 8}, &status), 0xffff);
    assert_int_equal(status, MOE_OK);
}

/* A line is 64 bytes: 16 lanes write the first four. */
static void what_lies_outside_is_not_read(void **state) {
    moe_status status;

    (void)state;
    assert_int_equal(rows_stored((store){.writers = 16, .y = 12}, &status), 0xf000);
    assert_int_equal(status, MOE_OK);
    rows_stored((store){.writers = 16, .y = 11}, &status);
    assert_int_equal(status, MOE_E_FAULT);
    assert_non_null(strstr(moe_error_text(), "nobody"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warp_stores_one_box),
        cmocka_unit_test(different_operands_are_different_stores),
        cmocka_unit_test(what_lies_outside_is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
