/* label: unit
 * What templates hear of how tokens spread over experts, against numbers by hand: rows kept and
 * experts used, in all. */
#include "folder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    const char *op;
    double rows, used; /* of all experts together */
} cases[] = {
    /* 12 tokens choose 4 of 64: each chooses an expert with 1/16: (15/16)^12 miss it. */
    {"gemm_up t=12 d=64 f=64 e=64 k=4", 48, 64 * (1 - 0.460951589)},
    {"gemm_up t=12 d=64 f=64 e=64 k=4 routing=one", 48, 4},
    /* 32 of them are chosen, each with 1/8. */
    {"gemm_up t=12 d=64 f=64 e=64 k=4 routing=empty", 48, 32 * (1 - 0.201417238)},
    {"gemm_up t=1 d=64 f=64 e=2 k=1 routing=zipf", 1, 1}, /* one of two: 0.618 and 0.382 */
    /* ceil(12 * 4 / 64) = 1 row is kept of the 12 that come to each of four. */
    {"gemm_up t=12 d=64 f=64 e=64 k=4 capacity=1 routing=one", 4, 4},
    /* A quarter of the experts, and a shared one as wide as two. */
    {"gemm_up t=12 d=64 f=64 e=64 k=4 local=16 routing=one", 12, 1},
    {"gemm_up t=12 d=64 f=64 e=64 k=4 shared=128 routing=one", 48 + 24, 4 + 2},
};

static void templates_hear_what_to_expect(void **state) {
    folder f;
    moe_gen *gen;
    (void)state;
    folder_make(&f);
    folder_write(&f, "x.cu", "body\n");
    folder_write_lua(&f, "x", "",
                     "op = 'gemm_up', cost = function(p) local rows, used = 0, 0 "
                     "for _, load in ipairs(moe.loads(p)) do rows = rows + load[1] * load[2] "
                     "used = used + load[1] * load[3] end "
                     "return {flops = rows, bytes = used} end");
    CHECK(moe_gen_open(f.path, &gen));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const moe_op op = test_op(cases[i].op);
        const moe_facts facts = test_facts();
        const moe_config config = test_config("n=1");
        moe_cost cost;
        CHECK(moe_template_cost(moe_gen_at(gen, 0), &op, &facts, &config, NULL, &cost));
        if (fabs(cost.flops - cases[i].rows) > 1e-5 || fabs(cost.bytes - cases[i].used) > 1e-5)
            fail_msg("%s: %.9g rows of %.9g experts", cases[i].op, cost.flops, cost.bytes);
    }
    moe_gen_close(gen);
    folder_remove(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(templates_hear_what_to_expect)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
