/* label: gpu
 * test_launches.c - kernels that start early and blocks that meet, on a GPU. */
#include "launches.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECONDS = 60 }; /* what hangs longer is killed */

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(early_readers_see_what_is_older),
        cmocka_unit_test(replays_keep_early_starts_in_order),
        cmocka_unit_test(blocks_meet),
        cmocka_unit_test(blocks_that_cannot_meet_are_refused),
    };
    moe_device *gpu;
    if (moe_device_open("cuda:0", &gpu) || moe_device_facts(gpu)->sm != 90) {
        fprintf(stderr, "skipped: needs an sm_90 GPU; %s\n", moe_error_text());
        return 77;
    }
    alarm(SECONDS);
    launches_open(gpu, 200);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    launches_close();
    moe_device_close(gpu);
    return failed;
}
