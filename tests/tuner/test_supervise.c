/* label: unit
 * Work in children: deaths and hangs are followed by a new child, endings are not. */
#include "measure/supervise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void no_core_file(void) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
}

/* Dies twice in different ways after getting on, then ends with 5. */
static int dies_twice(void *context, moe_heart *heart) {
    (void)context;
    no_core_file();
    heart->beats++;
    if (heart->restarts == 0) abort();
    if (heart->restarts == 1) return MOE_START_AGAIN;
    return heart->restarts == 2 && heart->beats == 3 ? 5 : 6;
}

static void test_a_dead_child_is_replaced(void **state) {
    (void)state;
    int status = -1;
    assert_int_equal(moe_supervise(dies_twice, NULL, &status), MOE_OK);
    assert_int_equal(status, 5);
}

static int hangs_once(void *context, moe_heart *heart) {
    (void)context;
    heart->patience = 1;
    heart->beats++;
    while (heart->restarts == 0) pause();
    return 0;
}

static void test_a_silent_child_is_killed(void **state) {
    (void)state;
    int status = -1;
    time_t start = time(NULL);
    assert_int_equal(moe_supervise(hangs_once, NULL, &status), MOE_OK);
    assert_int_equal(status, 0);
    assert_in_range(time(NULL) - start, 1, 10);
}

static int dies_at_once(void *context, moe_heart *heart) {
    (void)context, (void)heart;
    no_core_file();
    abort();
}

static void test_deaths_without_progress_are_an_error(void **state) {
    (void)state;
    int status = -1;
    assert_int_equal(moe_supervise(dies_at_once, NULL, &status), MOE_E_DEVICE);
    assert_non_null(strstr(moe_error_text(), "nvidia-smi"));
    assert_int_equal(status, -1);
}

/* However busy it is. */
static int stores_nothing(void *context, moe_heart *heart) {
    (void)context;
    heart->beats++;
    return heart->restarts < 10 ? MOE_START_AGAIN : 0;
}

static int stores_a_little(void *context, moe_heart *heart) {
    (void)context;
    heart->landed++;
    return heart->restarts < 5 ? MOE_START_AGAIN : 0;
}

static void test_progress_is_what_is_stored(void **state) {
    (void)state;
    int status = -1;
    assert_int_equal(moe_supervise(stores_nothing, NULL, &status), MOE_E_DEVICE);
    assert_int_equal(moe_supervise(stores_a_little, NULL, &status), MOE_OK);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dead_child_is_replaced),
        cmocka_unit_test(test_a_silent_child_is_killed),
        cmocka_unit_test(test_deaths_without_progress_are_an_error),
        cmocka_unit_test(test_progress_is_what_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
