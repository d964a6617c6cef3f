/* gemm_sweep.c - random legal configs of a grouped GEMM template. */
#include "gemm_sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

int gemm_sweep_count(int standard) {
    const char *text = getenv("MOE_SWEEP");
    return text ? atoi(text) : standard;
}

uint64_t gemm_sweep_start(uint64_t standard) {
    const char *text = getenv("MOE_SWEEP_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 0;
    return seed ? seed * standard : standard;
}

static uint64_t next(uint64_t *random) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

void gemm_sweep_pick(fixture *f, const char *template, const moe_op *op, uint64_t *random,
                     char text[MOE_CONFIG_TEXT_SIZE]) {
    moe_space *space;
    moe_config config;
    CHECK(moe_space_open(moe_gen_find(f->gen, template), op, moe_device_facts(f->device), &space));
    assert_true(moe_space_count(space) > 0);
    int64_t index = (int64_t)(next(random) % (uint64_t)moe_space_count(space));
    CHECK(moe_space_config(space, index, &config));
    moe_space_close(space);
    moe_config_print(&config, text, MOE_CONFIG_TEXT_SIZE);
}

void gemm_sweep_check(fixture *f, const char *template, const gemm_case *each, uint64_t *random) {
    moe_layer layer;
    char text[MOE_CONFIG_TEXT_SIZE];
    gemm_case picked = *each;
    CHECK(moe_layer_parse(each->layer, &layer));
    moe_op op = moe_op_make(each->kind, &layer, each->tokens, each->routing, MOE_CACHE_COLD);
    gemm_sweep_pick(f, template, &op, random, text);
    picked.config = text;
    gemm_case_check(f, template, &picked);
}
