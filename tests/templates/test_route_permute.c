/* label: sim */
/* test_route_permute.c - router and maps in two kernels on simulated GPUs, by default configs. */
#include "permute_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const rules[] = {"softmax>topk>renorm", "softmax>topk", "topk>softmax"};

/* Every shape at two or three of the token counts, which the devices share. */
static void every_shape_by_default_config(void **state) {
    (void)state;
    static const int shapes[][2] = {{1, 1}, {8, 2}, {40, 8}, {257, 4}, {1024, 10}, {2048, 32}};
    static const int64_t tokens[] = {1, 7, 64, 129, 513};
    static const char *const devices[] = {"sim:a100", "sim:h100"};
    for (int d = 0; d < 2; d++) {
        fixture f;
        fixture_open(&f, devices[d]);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            for (size_t t = d; t < sizeof tokens / sizeof *tokens; t += 2) {
                char text[128];
                permute_case_layer l;
                if ((i + t / 2) % 2) continue;
                snprintf(text, sizeof text, "d=72 f=8 e=%d k=%d router=%s", shapes[i][0],
                         shapes[i][1], rules[(i + t) % 3]);
                permute_case_build(&f, text, tokens[t], "", &l);
                permute_case_check_all(&f, &l, tokens[t], true);
                permute_case_check_all(&f, &l, 9, false);
                fixture_kernel_free(&f, &l.kernel);
            }
        fixture_close(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_by_default_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
