/* label: sim
 * test_launches_sim.c - kernels that start early and blocks that meet, on the simulated H100. */
#include "launches.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(early_readers_see_what_is_older),
        cmocka_unit_test(blocks_meet),
        cmocka_unit_test(blocks_that_cannot_meet_are_refused),
    };
    moe_device *simulated;
    if (moe_device_open("sim:h100", &simulated)) return 1;
    launches_open(simulated, 2);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    launches_close();
    moe_device_close(simulated);
    return failed;
}
