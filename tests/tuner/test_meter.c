/* label: unit
 * Timing: CUPTI windows against a library of our own, the fallback to events, and the race. Each
 * test has a process of its own, because CUPTI is one for the whole process. */
#include "measure/clock.h"
#include "measure/cupti.h"
#include "measure/meter.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ------------------------------------------------------------ a device that is timed by events */

static int events_begun, flushes, syncs;
static double events_ns = 777;

static moe_status device_sync(void *self, void *stream) {
    (void)self, (void)stream;
    syncs++;
    return MOE_OK;
}

static moe_status device_flush(void *self) {
    (void)self;
    flushes++;
    return MOE_OK;
}

static moe_status device_begin(void *self) {
    (void)self;
    events_begun++;
    return MOE_OK;
}

static moe_status device_end(void *self, double *ns) {
    (void)self;
    *ns = events_ns;
    return MOE_OK;
}

static const moe_device_class events_class = {
    .sync = device_sync, .flush_cache = device_flush, .time_begin = device_begin,
    .time_end = device_end, .timer = "events"};
static const moe_device_class model_class = {
    .sync = device_sync, .time_begin = device_begin, .time_end = device_end, .timer = "model"};

static moe_device device_of(const moe_device_class *class) {
    return (moe_device){.class = class};
}

/* ------------------------------------------------------------------------------ the fake CUPTI */

static void (*fake_kernel)(uint64_t, uint64_t);
static void (*fake_memset)(uint64_t, uint64_t);

static void open_fake(void) {
    char path[1024];
    const char *folder = getenv("FAKE_VENDOR");
    assert_non_null(folder);
    assert_int_equal(setenv("MOETUNE_CUDA", folder, 1), 0);
    snprintf(path, sizeof path, "%s/libcupti.so.13", folder);
    void *handle = dlopen(path, RTLD_NOW);
    assert_non_null(handle);
    *(void **)&fake_kernel = dlsym(handle, "fake_cupti_kernel");
    *(void **)&fake_memset = dlsym(handle, "fake_cupti_memset");
    assert_non_null(fake_kernel);
}

/* Runs a test in a child of its own; cmocka's failure there is an exit status here. */
static void apart(void (*test)(void)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        test();
        fflush(NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define APART(name)                                                                                \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        apart(name);                                                                               \
    }

/* ------------------------------------------------------------------------------------- windows */

static void windows_add_up_their_kernels(void) {
    moe_cupti_window window;
    open_fake();
    assert_int_equal(moe_cupti_open(), MOE_OK);
    assert_string_equal(moe_cupti_version(), "130000");
    fake_kernel(1, 1000000); /* before the window: forgotten */
    assert_int_equal(moe_cupti_begin(), MOE_OK);
    fake_kernel(2000100, 2000150);
    fake_memset(2000150, 2009000); /* not a kernel */
    fake_kernel(2000200, 2000300);
    assert_int_equal(moe_cupti_end(&window), MOE_OK);
    assert_int_equal(window.kernels, 2);
    assert_true(window.sum == 150);
    assert_true(window.span == 200);
    assert_int_equal(moe_cupti_begin(), MOE_OK);
    for (uint64_t i = 0; i < 5000; i++) fake_kernel(10 * i, 10 * i + 3); /* several buffers */
    assert_int_equal(moe_cupti_end(&window), MOE_OK);
    assert_int_equal(window.kernels, 5000);
    assert_true(window.sum == 15000);
    assert_true(window.span == 49993);
}
APART(windows_add_up_their_kernels)

static void a_refusal_is_an_error_with_its_reason(void) {
    assert_int_equal(setenv("FAKE_CUPTI_REFUSE", "1", 1), 0);
    open_fake();
    assert_int_equal(moe_cupti_open(), MOE_E_DEVICE);
    assert_non_null(strstr(moe_error_text(), "INSUFFICIENT_PRIVILEGES"));
    moe_device device = device_of(&events_class);
    moe_meter meter;
    moe_meter_init(&meter, &device);
    assert_int_equal(meter.timer, MOE_TIMER_EVENTS);
    assert_non_null(strstr(meter.note, "timing by events"));
}
APART(a_refusal_is_an_error_with_its_reason)

/* --------------------------------------------------------------------------------------- meter */

static uint64_t now;
static double kernel_ns;

static moe_status run_kernel(void *context) {
    (void)context;
    fake_kernel(now, now + (uint64_t)kernel_ns);
    fake_kernel(now + 5000, now + 5000 + (uint64_t)kernel_ns);
    now += 100000;
    return MOE_OK;
}

static void samples_come_from_records_of_a_cold_or_warm_run(void) {
    open_fake();
    moe_device device = device_of(&events_class);
    moe_meter meter;
    double ns;
    kernel_ns = 300;
    moe_meter_init(&meter, &device);
    assert_int_equal(meter.timer, MOE_TIMER_CUPTI);
    assert_string_equal(meter.note, "");
    const moe_timing cold = {MOE_CACHE_COLD, false}, warm = {MOE_CACHE_WARM, true};
    assert_int_equal(moe_meter_sample(&meter, &cold, run_kernel, NULL, &ns), MOE_OK);
    assert_true(ns == 600);
    assert_int_equal(flushes, 1);
    assert_true(syncs >= 2); /* before the window and at its end */
    assert_int_equal(moe_meter_sample(&meter, &warm, run_kernel, NULL, &ns), MOE_OK);
    assert_true(ns == 5300); /* the warming run is not in the window */
    assert_int_equal(flushes, 1);
    assert_int_equal(events_begun, 0);
}
APART(samples_come_from_records_of_a_cold_or_warm_run)

static int records_left;

static moe_status run_until_cupti_is_gone(void *context) {
    (void)context;
    if (records_left-- > 0) fake_kernel(0, 500);
    return MOE_OK;
}

/* A profiler that takes CUPTI over in the middle: no series may mix two timers. */
static void a_lost_cupti_starts_the_series_anew(void) {
    open_fake();
    moe_device device = device_of(&events_class);
    moe_meter meter;
    const moe_timing timing = {MOE_CACHE_COLD, false};
    moe_rival rival = {.run = run_until_cupti_is_gone};
    records_left = 7;
    moe_meter_init(&meter, &device);
    assert_int_equal(meter.timer, MOE_TIMER_CUPTI);
    assert_int_equal(moe_meter_race(&meter, &timing, &rival, 1, 20, 20), MOE_OK);
    assert_int_equal(meter.timer, MOE_TIMER_EVENTS);
    assert_non_null(strstr(meter.note, "no record"));
    assert_int_equal(rival.samples.n, 20);
    for (int i = 0; i < 20; i++) assert_true(rival.samples.ns[i] == events_ns);
}
APART(a_lost_cupti_starts_the_series_anew)

static char order[64];

static moe_status note_turn(void *context) {
    size_t length = strlen(order);
    if (length + 1 < sizeof order) order[length] = *(const char *)context;
    events_ns = *(const char *)context == 'a' ? 100 : 200;
    return MOE_OK;
}

static void test_rivals_take_turns(void **state) {
    (void)state;
    moe_device device = device_of(&events_class);
    moe_meter meter = {.device = &device, .timer = MOE_TIMER_EVENTS};
    const moe_timing timing = {MOE_CACHE_COLD, false};
    char a = 'a', b = 'b';
    moe_rival rivals[2] = {{.run = note_turn, .context = &a}, {.run = note_turn, .context = &b}};
    assert_int_equal(moe_meter_race(&meter, &timing, rivals, 2, 4, 40), MOE_OK);
    assert_string_equal(order, "abbaabba"); /* and no more: the medians are certain */
    assert_true(moe_samples_median(&rivals[0].samples) == 100);
    assert_true(moe_samples_median(&rivals[1].samples) == 200);
}

static moe_status noisy(void *context) {
    (void)context;
    static int turn;
    events_ns = 1000 + 400 * (turn++ % 2);
    return MOE_OK;
}

static void test_noise_takes_more_samples_up_to_the_most(void **state) {
    (void)state;
    moe_device device = device_of(&events_class);
    moe_meter meter = {.device = &device, .timer = MOE_TIMER_EVENTS};
    const moe_timing timing = {MOE_CACHE_COLD, false};
    moe_rival rival = {.run = noisy};
    assert_int_equal(moe_meter_race(&meter, &timing, &rival, 1, 10, 64), MOE_OK);
    assert_int_equal(rival.samples.n, 64);
    assert_true(moe_samples_median(&rival.samples) == 1200);
    assert_true(moe_samples_mad(&rival.samples) == 200);
}

static void test_a_model_is_asked_once(void **state) {
    (void)state;
    moe_device device = device_of(&model_class);
    moe_meter meter;
    const moe_timing timing = {MOE_CACHE_COLD, false};
    moe_rival rival = {.run = noisy};
    moe_meter_init(&meter, &device);
    assert_int_equal(meter.timer, MOE_TIMER_MODEL);
    assert_int_equal(moe_meter_race(&meter, &timing, &rival, 1, 50, 100), MOE_OK);
    assert_int_equal(rival.samples.n, 1);
}

static moe_status fails(void *context) {
    (void)context;
    return moe_fail(MOE_E_FAULT, "on purpose");
}

static void test_a_failing_rival_stops_the_race(void **state) {
    (void)state;
    moe_device device = device_of(&events_class);
    moe_meter meter = {.device = &device, .timer = MOE_TIMER_EVENTS};
    const moe_timing timing = {MOE_CACHE_COLD, false};
    moe_rival rivals[2] = {{.run = noisy}, {.run = fails}};
    assert_int_equal(moe_meter_race(&meter, &timing, rivals, 2, 5, 5), MOE_E_FAULT);
    assert_int_equal(rivals[1].status, MOE_E_FAULT);
}

static void test_statistics(void **state) {
    (void)state;
    const moe_samples odd = {5, {5, 1, 4, 2, 100}}, even = {4, {1, 2, 3, 10}}, none = {0};
    char text[MOE_SAMPLES_TEXT_SIZE];
    assert_true(moe_samples_median(&odd) == 4);
    assert_true(moe_samples_mad(&odd) == 2);
    assert_true(moe_samples_median(&even) == 2.5);
    assert_true(moe_samples_median(&none) == 0);
    moe_samples_print(&even, text, sizeof text);
    assert_string_equal(text, "1.0 2.0 3.0 10.0");
}

static void the_clock_is_that_of_the_only_gpu(void) {
    open_fake();
    assert_int_equal(moe_clock_mhz(), 1395);
    assert_int_equal(moe_clock_mhz(), 1395);
}
APART(the_clock_is_that_of_the_only_gpu)

static void of_several_gpus_the_clock_is_unknown(void) {
    open_fake();
    assert_int_equal(setenv("FAKE_GPUS", "2", 1), 0);
    assert_int_equal(moe_clock_mhz(), 0);
}
APART(of_several_gpus_the_clock_is_unknown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_add_up_their_kernels),
        cmocka_unit_test(test_a_refusal_is_an_error_with_its_reason),
        cmocka_unit_test(test_samples_come_from_records_of_a_cold_or_warm_run),
        cmocka_unit_test(test_a_lost_cupti_starts_the_series_anew),
        cmocka_unit_test(test_rivals_take_turns),
        cmocka_unit_test(test_noise_takes_more_samples_up_to_the_most),
        cmocka_unit_test(test_a_model_is_asked_once),
        cmocka_unit_test(test_a_failing_rival_stops_the_race),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_the_clock_is_that_of_the_only_gpu),
        cmocka_unit_test(test_of_several_gpus_the_clock_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
