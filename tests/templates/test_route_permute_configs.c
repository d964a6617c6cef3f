/* label: sim */
/* test_route_permute_configs.c - router and maps in two kernels on simulated GPUs: every kind of
 * config, large counts, and other orders of warps. */
#include "permute_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const configs[] = {
    "bt=8 be=64 bk=64 stages=3 warps=4 split=0 blocks=1 map_threads=128 items=1",
    "bt=16 be=32 bk=128 stages=2 warps=4 split=2 blocks=1 map_threads=256 items=4",
    "bt=8 be=16 bk=128 stages=4 warps=8 split=1 blocks=1 map_threads=1024 items=2",
    "bt=16 be=64 bk=64 stages=3 warps=8 split=0 blocks=64 map_threads=128 items=2",
    "bt=64 be=64 bk=64 stages=4 warps=4 split=0 blocks=128 map_threads=512 items=1",
    "bt=8 be=64 bk=128 stages=2 warps=4 split=0 blocks=512 map_threads=256 items=8",
};

enum { CONFIGS = sizeof configs / sizeof *configs };

static void every_kind_of_config_gives_the_same_maps(void **state) {
    (void)state;
    fixture f;
    fixture_open(&f, "sim:h100");
    for (int i = 0; i < CONFIGS; i++) {
        permute_case_layer l;
        permute_case_build(&f, i % 2 ? "d=136 f=8 e=60 k=4 x=f32" : "d=136 f=8 e=60 k=4 x=f16",
                           2500, configs[i], &l);
        permute_case_check_all(&f, &l, 2500, i == 3);
        permute_case_check_all(&f, &l, 40, true);
        fixture_kernel_free(&f, &l.kernel);
    }
    fixture_close(&f);
}

/* What a share counts must stay below 2^16, whatever is given. */
static void counts_of_a_share_do_not_overflow(void **state) {
    (void)state;
    fixture f;
    permute_case_layer l;
    fixture_open(&f, "sim:h100");
    permute_case_build(&f, "d=8 f=8 e=3 k=1", 100,
                       "bt=8 be=16 bk=64 stages=3 warps=4 split=0 blocks=64 map_threads=512 "
                       "items=8",
                       &l);
    int64_t tokens = 64 * 65600;
    permute_case_check(&f, &l, PERMUTE_GIVEN,
                       &(map_case){.kernel = &l.kernel, .pattern = MAP_ONE, .tokens = tokens,
                                   .capacity = tokens, .row_align = 1, .statistics = true});
    fixture_kernel_free(&f, &l.kernel);
    fixture_close(&f);
}

static void schedules_do_not_matter(void **state) {
    (void)state;
    static const char *const layers[] = {"d=136 f=8 e=40 k=4", "d=136 f=8 e=64 k=8"};
    for (int seed = 1; seed <= 8; seed++) {
        char device[32];
        fixture f;
        permute_case_layer l;
        snprintf(device, sizeof device, "sim:%s,seed=%d", seed % 2 ? "h100" : "a100", seed);
        fixture_open(&f, device);
        permute_case_build(&f, layers[seed / 2 % 2], 70,
                           seed % 3 ? "" : configs[3 + seed / 3 % 3], &l);
        permute_case_check(&f, &l, PERMUTE_FROM_X,
                           &(map_case){.kernel = &l.kernel, .tokens = 70, .capacity = 20,
                                       .row_align = 16, .statistics = true});
        fixture_kernel_free(&f, &l.kernel);
        fixture_close(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_config_gives_the_same_maps),
        cmocka_unit_test(counts_of_a_share_do_not_overflow),
        cmocka_unit_test(schedules_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
