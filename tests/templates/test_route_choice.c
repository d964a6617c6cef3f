/* label: sim
 * test_route_choice.c - experts that choose their tokens, on simulated GPUs: awkward shapes and
 * configs, given experts, ties, and whole layers. */
#include "fixture.h"

#include "judge/layer_case.h"
#include "tune/spot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RULE " router=expert_choice capacity="

/* Judged by the reference, with rows aligned, too, and with given experts. */
static void check(fixture *f, const char *text, int64_t tokens, const char *config) {
    moe_layer layer;
    CHECK(moe_layer_parse(text, &layer));
    moe_op op = moe_op_make(MOE_OP_route_permute, &layer, tokens, MOE_ROUTING_UNIFORM,
                            MOE_CACHE_COLD);
    fixture_verify(f, "route_permute_choice", &op, config);
}

static void on_awkward_shapes(void **state) {
    fixture f;
    (void)state;
    fixture_open(&f, "sim:a100");
    check(&f, "d=64 f=8 e=8 k=8" RULE "2,switch", 129, "");
    check(&f, "d=72 f=8 e=5 k=5 x=f32 bias=router" RULE "0.3,switch", 1, "");
    check(&f, "d=64 f=8 e=40 k=40 x=f16" RULE "9.5,switch", 33, "choosers=128");
    fixture_close(&f);
    fixture_open(&f, "sim:h100,seed=3");
    check(&f, "d=64 f=8 e=1 k=1" RULE "3,switch", 7, "");
    check(&f, "d=64 f=8 e=33 k=33" RULE "1,switch", 300, "choosers=1024");
    check(&f, "d=64 f=8 e=12 k=12 local=5 shared=16" RULE "2,switch", 45, "");
    fixture_close(&f);
}

/* Every token alike: each expert takes the first ones, in their order. */
static void ties(void **state) {
    enum { T = 70, E = 4, C = 18 }; /* round(1.05 * 70 / 4) */
    float logits[T * E];
    int ids[T * E], slot_rows[T * E];
    moe_layer layer;
    fixture f;
    fixture_kernel kernel;
    moe_arg_values args = {0};
    (void)state;
    CHECK(moe_layer_parse("d=64 f=8 e=4 k=4" RULE "1.05,switch", &layer));
    moe_op op = moe_op_make(MOE_OP_route_permute, &layer, T, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    for (int i = 0; i < T * E; i++) logits[i] = (float)(i % E);
    fixture_open(&f, "sim:h100");
    fixture_build(&f, "route_permute_choice", &op, "", &kernel);
    args.value[MOE_ARG_logits] = fixture_put(&f, logits, sizeof logits);
    args.value[MOE_ARG_ids] = fixture_room(&f, sizeof ids);
    args.value[MOE_ARG_weights] = fixture_room(&f, sizeof logits);
    args.value[MOE_ARG_slot_rows] = fixture_room(&f, sizeof slot_rows);
    args.value[MOE_ARG_row_slots] = fixture_room(&f, E * C * sizeof(int));
    args.value[MOE_ARG_expert_start] = fixture_room(&f, (E + 1) * sizeof(int));
    args.value[MOE_ARG_expert_rows] = fixture_room(&f, E * sizeof(int));
    args.value[MOE_ARG_tile_start] = fixture_room(&f, MOE_TILE_HEIGHTS * (E + 1) * sizeof(int));
    args.value[MOE_ARG_capacity] = (uint64_t)moe_layer_capacity(&layer, T);
    args.value[MOE_ARG_row_align] = 1;
    fixture_run(&f, &kernel, &args);
    fixture_get(&f, args.value[MOE_ARG_ids], ids, sizeof ids);
    fixture_get(&f, args.value[MOE_ARG_slot_rows], slot_rows, sizeof slot_rows);
    for (int s = 0; s < T * E; s++) {
        int token = s / E, expert = s % E;
        assert_int_equal(ids[s], token < C ? expert : -1);
        assert_int_equal(slot_rows[s], token < C ? expert * C + token : -1);
    }
    fixture_kernel_free(&f, &kernel);
    fixture_close(&f);
}

/* Through every entry of the public API. */
static void whole_layers(void **state) {
    moe_layer layer;
    moe_builder *builder;
    moe_plan *plan;
    fixture f;
    (void)state;
    fixture_open(&f, "sim:a100");
    const moe_ptx_arch arch = moe_arch_of_ptx(moe_device_facts(f.device)->arch);
    CHECK(moe_builder_open(arch.text, NULL, NULL, &builder));
    CHECK(moe_layer_parse("d=64 f=32 e=6 k=6 act=relu shared=32,gated local=4" RULE "1.5,switch",
                          &layer));
    CHECK(moe_default_plan(f.device, f.gen, builder, &layer, 33, NULL, &plan));
    for (moe_entry entry = 0; entry < MOE_ENTRY_COUNT; entry++) {
        moe_layer_case *c = NULL;
        moe_layer_verdict verdict;
        double ns;
        CHECK(moe_layer_case_open(f.device, &layer, 33, MOE_ROUTING_ZIPF, entry, 3, &c));
        CHECK(moe_layer_case_verify(c, plan, &verdict, &ns));
        if (!verdict.ok) fail_msg("%s: %s", moe_entry_names[entry], verdict.text);
        moe_layer_case_close(c);
    }
    moe_plan_destroy(plan);
    moe_builder_close(builder);
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_awkward_shapes),
        cmocka_unit_test(ties),
        cmocka_unit_test(whole_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
