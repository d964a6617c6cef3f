/* label: sim
 * test_split.c - GEMMs whose blocks share a tile's K, on simulated GPUs with clusters and without:
 * splits of random configs, defaults that split, and the same bits in any order of warps and
 * blocks. MOE_SWEEP=N checks N random configs of each template and device, and N orders, instead of
 * a few; MOE_SWEEP_SEED=S, others. */
#include "gemm_sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SWEEP = 3, SEEDS = 1, TRIES = 100 };

typedef struct subject {
    const char *template, *device;
    int kinds;  /* of ops that it serves, as below */
    int splits; /* bit i: the default for kind i splits few tiles */
} subject;

static const moe_op_kind kinds[] = {MOE_OP_gemm_up, MOE_OP_gemm_down, MOE_OP_down_combine};

static subject sm90 = {"decode_gemm_sm90", "sim:h100", 3, 7};
static subject cluster = {"decode_gemm", "sim:h100", 3, 7};
static subject sm80 = {"decode_gemm", "sim:a100", 3, 4};
static subject gemv = {"gemv", "sim:h100", 2, 3};
static subject gemv_sm80 = {"gemv", "sim:a100", 2, 0};

/* One token of one expert, and a narrow result: one tile, or a few. */
static const char *few_tiles(moe_op_kind kind) {
    return kind == MOE_OP_gemm_up ? "d=3072 f=56 e=8 k=1 bias=up"
                                  : "d=120 f=3072 e=8 k=1 bias=down";
}

/* Checks a random config that splits. */
static void check_split(fixture *f, const subject *s, const gemm_case *each, uint64_t *random) {
    char text[MOE_CONFIG_TEXT_SIZE];
    moe_layer layer;
    moe_config config = {0};
    gemm_case picked = *each;
    CHECK(moe_layer_parse(each->layer, &layer));
    moe_op op = moe_op_make(each->kind, &layer, each->tokens, each->routing, MOE_CACHE_COLD);
    for (int i = 0; i < TRIES && moe_config_get(&config, "split", 1) == 1; i++) {
        gemm_sweep_pick(f, s->template, &op, random, text);
        CHECK(moe_config_parse(text, &config));
    }
    assert_true(moe_config_get(&config, "split", 1) > 1);
    picked.config = text;
    gemm_case_check(f, s->template, &picked);
}

static void splits_from_all_over_the_space(void **state) {
    static const struct {
        const char *layer;
        int kinds; /* 1: K is too short to be shared in the others */
    } table[] = {
        {"d=1032 f=704 e=8 k=2 bias=up,down", 3},
        {"d=1096 f=176 e=8 k=2 act=geglu", 1},
        {"d=264 f=1408 e=1 k=1", 3},
        {"d=520 f=352 e=40 k=4 x=f16 act=relu bias=up", 3},
        {"d=776 f=1408 e=8 k=2 capacity=0.5 bias=up,down router=topk>sigmoid>input", 3},
        {"d=1032 f=192 e=40 k=1 layout=interleaved bias=up", 1},
    };
    static const int64_t tokens[] = {1, 7, 64};
    const subject *s = *state;
    uint64_t random = gemm_sweep_start(0x2545f4914f6cdd1d);
    fixture f;
    fixture_open(&f, s->device);
    for (int i = 0, count = gemm_sweep_count(SWEEP); i < count; i++) {
        int row = i % 6, some = table[row].kinds < s->kinds ? table[row].kinds : s->kinds;
        gemm_case each = {kinds[i % some], table[row].layer, tokens[i / 2 % 3],
                          (moe_routing)(i / 3 % MOE_ROUTING_COUNT), 1, NULL};
        check_split(&f, s, &each, &random);
    }
    fixture_close(&f);
}

/* Blocks that wait for one another in other orders add up the same bits. */
static void any_order_gives_the_same_bits(void **state) {
    const subject *s = *state;
    uint64_t bits[3] = {0};
    char device[64];
    for (int seed = 0, count = gemm_sweep_count(SEEDS); seed <= count; seed++) {
        fixture f;
        snprintf(device, sizeof device, "%s,seed=%d", s->device, seed);
        fixture_open(&f, device);
        for (int i = 0; i < s->kinds; i++) {
            const char *config = s->splits >> i & 1 ? "" : "split=4";
            uint64_t found = gemm_case_check(&f, s->template, &(gemm_case){
                kinds[i], few_tiles(kinds[i]), 1, MOE_ROUTING_UNIFORM, 1, config});
            if (seed && found != bits[i])
                fail_msg("%s on %s: other bits with seed=%d", s->template, s->device, seed);
            bits[i] = found;
        }
        fixture_close(&f);
    }
}

static int64_t default_split(const fixture *f, const subject *s, moe_op_kind kind,
                             const char *text) {
    moe_layer layer;
    moe_config config;
    CHECK(moe_layer_parse(text, &layer));
    moe_op op = moe_op_make(kind, &layer, 1, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    CHECK(moe_template_default(moe_gen_find(f->gen, s->template), &op,
                               moe_device_facts(f->device), &config));
    return moe_config_get(&config, "split", 0);
}

static void defaults_split_few_tiles_only(void **state) {
    const subject *s = *state;
    fixture f;
    fixture_open(&f, s->device);
    for (int i = 0; i < s->kinds; i++) {
        assert_int_equal(default_split(&f, s, kinds[i], few_tiles(kinds[i])) > 1,
                         s->splits >> i & 1);
        assert_int_equal(default_split(&f, s, kinds[i], "d=4096 f=14336 e=8 k=2"), 1);
    }
    fixture_close(&f);
}

#define TESTS_OF(subject)                                                                          \
    cmocka_unit_test_prestate(splits_from_all_over_the_space, &subject),                           \
        cmocka_unit_test_prestate(any_order_gives_the_same_bits, &subject),                        \
        cmocka_unit_test_prestate(defaults_split_few_tiles_only, &subject)

int main(void) {
    const struct CMUnitTest tests[] = {TESTS_OF(sm90), TESTS_OF(cluster), TESTS_OF(sm80),
                                        TESTS_OF(gemv), TESTS_OF(gemv_sm80)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
