/* layer_forms.c - a whole layer in every form of pipeline that serves it. */
#include "layer_forms.h"

#include "device/device.h"
#include "reference.h"
#include "run/assemble.h"
#include "tune/spot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if (call) fail_msg("%s", moe_error_text());                                                \
    } while (0)

/* What all runs share. */
typedef struct rig {
    moe_device *device;
    moe_gen *gen;
    moe_builder *builder;
    moe_layer layer;
    const char *text;
    int64_t tuned;
    moe_routing routing;
    moe_entry entry;
} rig;

static void check_tokens(const rig *r, const moe_plan *plan, const char *form, int64_t tokens) {
    moe_layer_case *c;
    moe_layer_verdict verdict;
    double ns;
    CHECK(moe_layer_case_open(r->device, &r->layer, tokens, r->routing, r->entry, 5, &c));
    if (moe_layer_case_verify(c, plan, &verdict, &ns))
        fail_msg("%s as %s at t=%lld: %s", r->text, form, (long long)tokens, moe_error_text());
    if (!verdict.ok)
        fail_msg("%s as %s at t=%lld: %s", r->text, form, (long long)tokens, verdict.text);
    moe_layer_case_close(c);
    print_message("%s as %s t=%lld: error %.3g of %.3g, l2 %.3g of %.3g (plain pipeline %.3g)\n",
                  r->text, form, (long long)tokens, verdict.error, verdict.tolerance,
                  verdict.rel_l2, verdict.tolerance_l2, verdict.yardstick);
}

static bool check_form(const rig *r, const moe_pipeline_info *form) {
    static const int64_t tokens[] = {0, 1, 7, 64, 129};
    moe_plan *plan;
    if (!moe_form_served(r->gen, moe_device_facts(r->device), &r->layer, r->tuned, form, NULL))
        return false;
    CHECK(moe_default_plan(r->device, r->gen, r->builder, &r->layer, r->tuned, form, &plan));
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        if (moe_plan_form(plan, tokens[i])) check_tokens(r, plan, form->name, tokens[i]);
    moe_plan_destroy(plan);
    return true;
}

static rig open_rig(const char *device, const char *layer) {
    rig r = {.text = layer};
    CHECK(moe_layer_parse(layer, &r.layer));
    CHECK(moe_device_open(device, &r.device));
    CHECK(moe_gen_open("templates", &r.gen));
    moe_gen_allow_any_order(r.gen, true);
    const moe_ptx_arch arch = moe_arch_of_ptx(moe_device_facts(r.device)->arch);
    CHECK(moe_builder_open(arch.text, NULL, NULL, &r.builder));
    return r;
}

static void close_rig(rig *r) {
    moe_builder_close(r->builder);
    moe_gen_close(r->gen);
    moe_device_close(r->device);
}

unsigned layer_forms_check(const char *device, const char *layer, int64_t tuned,
                           moe_routing routing, moe_entry entry) {
    rig r = open_rig(device, layer);
    unsigned ran = 0;
    r.tuned = tuned;
    r.routing = routing;
    r.entry = entry;
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++)
        ran |= (unsigned)check_form(&r, &moe_pipeline_table[i]) << i;
    close_rig(&r);
    return ran;
}

static bool plan_is_right(const rig *r, const moe_plan *plan, const char *weights,
                          int64_t tokens) {
    moe_layer layer;
    moe_layer_case *c;
    moe_layer_verdict verdict;
    double ns;
    CHECK(moe_layer_parse(weights, &layer));
    CHECK(moe_layer_case_open(r->device, &layer, tokens, MOE_ROUTING_UNIFORM, MOE_ENTRY_ROUTER, 5,
                              &c));
    CHECK(moe_layer_case_verify(c, plan, &verdict, &ns));
    moe_layer_case_close(c);
    return verdict.ok;
}

/* Whether the kernels of layers[0] are right for each of n layers. */
static void try_all(const char *device, const char *const *layers, int n, int64_t tokens,
                    bool *right) {
    rig r = open_rig(device, layers[0]);
    moe_plan *plan;
    CHECK(moe_default_plan(r.device, r.gen, r.builder, &r.layer, tokens, moe_pipeline_table,
                           &plan));
    for (int i = 0; i < n; i++) right[i] = plan_is_right(&r, plan, layers[i], tokens);
    moe_plan_destroy(plan);
    close_rig(&r);
}

bool layer_forms_agree(const char *device, const char *kernels, const char *weights,
                       int64_t tokens) {
    bool right[2];
    try_all(device, (const char *const[]){kernels, weights}, 2, tokens, right);
    return right[1];
}

bool layer_forms_differ(const char *device, const char *kernels, const char *weights,
                        int64_t tokens) {
    bool right[2];
    try_all(device, (const char *const[]){kernels, weights}, 2, tokens, right);
    if (!right[0]) fail_msg("%s: its own kernels are wrong", kernels);
    return !right[1];
}

/* y of what has just run. */
static void read_y(const rig *r, const moe_layer_case *c, int64_t tokens, double *y) {
    size_t n = (size_t)(tokens * r->layer.d), bytes = n * moe_dtype_size(r->layer.x);
    void *host = malloc(bytes + 1);
    assert_non_null(host);
    CHECK(r->device->class->copy_out(r->device->self, host, (moe_ptr)moe_layer_case_io(c).y,
                                     bytes));
    for (size_t i = 0; i < n; i++) y[i] = moe_load(r->layer.x, host, (int64_t)i);
    free(host);
}

static void run_routed(const rig *r, const moe_plan *plan, int64_t tokens, const int *ids,
                       const float *weights, double *y) {
    moe_layer_case *c;
    moe_layer_verdict verdict;
    double ns;
    CHECK(moe_layer_case_open_routed(r->device, &r->layer, tokens, ids, weights, 5, &c));
    CHECK(moe_layer_case_verify(c, plan, &verdict, &ns));
    if (!verdict.ok) fail_msg("%s at t=%lld: %s", r->text, (long long)tokens, verdict.text);
    if (y) read_y(r, c, tokens, y);
    moe_layer_case_close(c);
}

void layer_forms_routed(const char *device, const char *layer, int64_t tokens, int runs,
                        const int *ids, const float *weights, double *y) {
    rig r = open_rig(device, layer);
    int64_t slots = tokens * r.layer.k, width = tokens * r.layer.d;
    moe_plan *plan;
    CHECK(moe_default_plan(r.device, r.gen, r.builder, &r.layer, tokens, moe_pipeline_table,
                           &plan));
    for (int i = 0; i < runs; i++)
        run_routed(&r, plan, tokens, ids + i * slots, weights + i * slots,
                   y ? y + i * width : NULL);
    moe_plan_destroy(plan);
    close_rig(&r);
}
