/* label: unit - structs that carry their size: a program compiled with another moetune.h than the
 * library's, older or newer, passes what it knows. */
#include "plan_case.h"

#include "core/sized.h"

#include <string.h>

/* The structs as version 0.1.0 had them first. They never change: programs of that day hold
 * them. */
typedef struct first_router {
    moe_rule rule;
    double jitter_input;
    bool jitter_experts;
    double noise;
    moe_score score;
    moe_pick pick;
    bool key_bias;
    int64_t groups, groups_kept;
    moe_group_rule group_rule;
    bool zero_fill;
    moe_weigh weigh;
    double jitter;
    bool renorm;
    double epsilon;
    moe_second second;
    double scale;
    bool input;
    int64_t heads, keys, key_width;
} first_router;

typedef struct first_layer {
    size_t size;
    int64_t d, f, e, k;
    struct { int kind; double limit, alpha; } act;
    moe_dtype x, w;
    first_router router;
    struct { double factor; int rule; int64_t least; } capacity;
    unsigned bias;
    moe_layout layout;
    moe_priority priority;
    moe_drop drop;
    moe_router_dtype router_dtype;
    struct { int64_t f; bool gated; } shared;
    int64_t local;
} first_layer;

typedef struct first_options {
    size_t size;
    int64_t max_tokens;
    int worst;
    const char *routing, *cache;
    bool any_order;
} first_options;

typedef struct first_io {
    size_t size;
    const void *x, *router_weight, *router_keys;
    const float *router_bias;
    const void *up, *up_bias, *down, *down_bias, *shared_up, *shared_down, *shared_gate;
    int first_expert;
    const float *logits;
    bool routing_given;
    const void *router_noise;
    const int *token_ids, *expert_table;
    int64_t vocab;
    const uint64_t *seed;
    void *y;
    int *ids;
    float *weights;
    int *counts;
    float *mean_probs, *losses, *next_router_bias;
    float bias_rate;
    int *slot_rows;
    void *workspace;
    size_t workspace_size;
} first_io;

#define RICH                                                                                       \
    "d=64 f=32 e=8 k=2 act=swiglu_clamp(7,1.5) router=softmax>topk>renorm>scale(2.5)"              \
    " capacity=1.25,switch,min(4) priority=gate drop=renorm"

/* Where members stand is what a program was compiled with, so none may ever move. */
static void test_members_stay(void **unused) {
    (void)unused;
#define SAME(type, member) {#member, offsetof(first_##type, member), offsetof(moe_##type, member)}
    const struct {
        const char *member;
        size_t then, now;
    } rows[] = {
        SAME(layer, size), SAME(layer, d), SAME(layer, k), SAME(layer, act.kind),
        SAME(layer, act.alpha), SAME(layer, x), SAME(layer, w), SAME(layer, router.rule),
        SAME(layer, router.noise), SAME(layer, router.pick), SAME(layer, router.key_bias),
        SAME(layer, router.groups_kept), SAME(layer, router.zero_fill),
        SAME(layer, router.weigh), SAME(layer, router.renorm), SAME(layer, router.second),
        SAME(layer, router.input), SAME(layer, router.key_width), SAME(layer, capacity.factor),
        SAME(layer, capacity.least), SAME(layer, bias), SAME(layer, layout),
        SAME(layer, priority), SAME(layer, drop), SAME(layer, router_dtype),
        SAME(layer, shared.f), SAME(layer, shared.gated), SAME(layer, local), SAME(io, size),
        SAME(io, x), SAME(io, router_weight), SAME(io, router_keys), SAME(io, router_bias),
        SAME(io, up), SAME(io, up_bias), SAME(io, down), SAME(io, down_bias),
        SAME(io, shared_up), SAME(io, shared_down), SAME(io, shared_gate),
        SAME(io, first_expert), SAME(io, logits), SAME(io, routing_given),
        SAME(io, router_noise), SAME(io, token_ids), SAME(io, expert_table), SAME(io, vocab),
        SAME(io, seed), SAME(io, y), SAME(io, ids), SAME(io, weights), SAME(io, counts),
        SAME(io, mean_probs), SAME(io, losses), SAME(io, next_router_bias),
        SAME(io, bias_rate), SAME(io, slot_rows), SAME(io, workspace),
        SAME(io, workspace_size),
        {"worst", offsetof(first_options, worst), offsetof(moe_plan_options, worst)},
        {"any_order", offsetof(first_options, any_order), offsetof(moe_plan_options, any_order)},
    };
#undef SAME
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].then != rows[i].now)
            fail_msg("%s stood at byte %zu and stands at %zu; new members go to the end",
                     rows[i].member, rows[i].then, rows[i].now);
    assert_true(sizeof(moe_layer) >= sizeof(first_layer) && sizeof(moe_io) >= sizeof(first_io) &&
                sizeof(moe_plan_options) >= sizeof(first_options));
}

static moe_status create(recorder *device, const void *layer, const void *options,
                         moe_plan **out) {
    moe_db *db = NULL;
    *out = NULL;
    CHECK(moe_db_open(case_path, &db));
    moe_status status = moe_plan_create(db, &device->device, layer, options, out);
    moe_db_close(db);
    return status;
}

/* The program of that day: parses, prints, plans and runs. */
static void test_first_program(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    char text[MOE_LAYER_TEXT_SIZE], again[MOE_LAYER_TEXT_SIZE];
    first_layer layer;
    CHECK(moe_layer_parse_sized(RICH, sizeof layer, (moe_layer *)&layer));
    assert_int_equal(layer.size, sizeof layer);
    assert_true(layer.act.alpha == 1.5 && layer.router.scale == 2.5 && layer.capacity.least == 4);
    CHECK(moe_layer_print((const moe_layer *)&layer, text, sizeof text));
    moe_layer now = case_layer(RICH);
    CHECK(moe_layer_print(&now, again, sizeof again));
    assert_string_equal(text, again);

    CHECK(moe_layer_parse_sized(LAYER, sizeof layer, (moe_layer *)&layer));
    const first_options options = {.size = sizeof options, .max_tokens = 100};
    moe_plan *plan;
    CHECK(create(device, &layer, &options, &plan));
    first_io io = {.size = sizeof io, .x = case_pointer(0), .router_weight = case_pointer(1),
                   .router_bias = case_pointer(2), .up = case_pointer(3),
                   .up_bias = case_pointer(4), .down = case_pointer(5),
                   .down_bias = case_pointer(6), .y = case_pointer(7),
                   .workspace = case_pointer(100)};
    CHECK(moe_plan_workspace(plan, 16, &io.workspace_size));
    CHECK(moe_plan_run(plan, (const moe_io *)&io, 16, NULL));
    assert_true(case_argument(device, "combine_2", MOE_OP_combine, MOE_ARG_y) == (uintptr_t)io.y);
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* A program that knows fewer members than the library: what lies behind them is its own. */
static void test_fewer_members(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan;
    moe_layer layer = case_layer(LAYER), narrow;
    char text[MOE_LAYER_TEXT_SIZE], whole[MOE_LAYER_TEXT_SIZE];
    const size_t without_local = offsetof(moe_layer, local);
    CHECK(moe_layer_print(&layer, whole, sizeof whole));
    layer.size = without_local;
    layer.local = 3;
    CHECK(moe_layer_print(&layer, text, sizeof text));
    assert_string_equal(text, whole);

    memset(&narrow, 0x55, sizeof narrow);
    CHECK(moe_layer_parse_sized(LAYER, without_local, &narrow));
    assert_int_equal(narrow.size, without_local);
    assert_int_equal(narrow.local, 0x5555555555555555);
    CHECK_FAILS(moe_layer_parse_sized(LAYER " local=4", without_local, &narrow),
                MOE_E_UNSUPPORTED, "compile it with the moetune.h of libmoetune");

    moe_plan_options options = {.size = offsetof(moe_plan_options, routing), .routing = "nonsense"};
    CHECK(create(device, &layer, &options, &plan));
    moe_io io = case_io((size_t)1 << 30);
    io.size = offsetof(moe_io, workspace_size);
    CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_INVALID, "io.workspace has 0 bytes");
    moe_plan_destroy(plan);
    recorder_close(device);
}

/* A program that knows more: well, while it asks for nothing that the library does not know. */
static void test_more_members(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan;
    struct { moe_layer now; int64_t later[2]; } layer;
    struct { moe_plan_options now; const char *later; } options = {{.size = sizeof options}, NULL};
    struct { moe_io now; void *later[3]; } io = {.now = case_io((size_t)1 << 30)};
    memset(&layer, 0x55, sizeof layer);
    CHECK(moe_layer_parse_sized(LAYER, sizeof layer, &layer.now));
    assert_true(layer.now.size == sizeof layer && !layer.later[0] && !layer.later[1]);
    io.now.size = sizeof io;
    CHECK(create(device, &layer, &options, &plan));
    CHECK(moe_plan_run(plan, &io.now, 16, NULL));
    io.later[2] = io.now.y;
    CHECK_FAILS(moe_plan_run(plan, &io.now, 16, NULL), MOE_E_INVALID, "io.size is");
    CHECK_CONTAINS(moe_error_text(), "use the library that moetune.h came with");
    moe_plan_destroy(plan);
    layer.later[1] = 1;
    CHECK_FAILS(create(device, &layer, &options, &plan), MOE_E_INVALID, "layer.size is");
    layer.later[1] = 0;
    options.later = "more";
    CHECK_FAILS(create(device, &layer, &options, &plan), MOE_E_INVALID, "options.size is");
    recorder_close(device);
}

/* Reading and writing by themselves, over memory that was something else before. */
static void test_read_and_write(void **unused) {
    (void)unused;
    struct { size_t size; int64_t a, b, c; } whole, one = {sizeof one, 1, 2, 3};
    memset(&whole, 0x55, sizeof whole);
    one.size = 16;
    CHECK(moe_sized_read("one", "some", &one, &whole, sizeof whole));
    assert_true(whole.size == sizeof whole && whole.a == 1 && !whole.b && !whole.c);
    memset(&one, 0x55, sizeof one);
    CHECK(moe_sized_write("one", "some", &whole, sizeof whole, &one, 24));
    assert_true(one.size == 24 && one.a == 1 && !one.b && one.c == 0x5555555555555555);
}

/* A size that nobody set says what to set. */
static void test_no_size(void **unused) {
    (void)unused;
    case_db(LAYER);
    recorder *device = recorder_open(FACTS);
    moe_plan *plan;
    moe_layer layer = case_layer(LAYER);
    char text[MOE_LAYER_TEXT_SIZE];
    static const size_t wrong[] = {0, 4, (size_t)-1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        moe_io io = case_io((size_t)1 << 30);
        moe_plan_options options = {.size = wrong[i]};
        CHECK_FAILS(create(device, &layer, &options, &plan), MOE_E_INVALID,
                    "set it to sizeof(moe_plan_options)");
        CHECK(create(device, &layer, NULL, &plan));
        io.size = wrong[i];
        CHECK_FAILS(moe_plan_run(plan, &io, 16, NULL), MOE_E_INVALID, "set it to sizeof(moe_io)");
        moe_plan_destroy(plan);
        moe_layer bad = layer;
        bad.size = wrong[i];
        CHECK_FAILS(moe_layer_print(&bad, text, sizeof text), MOE_E_INVALID,
                    "set it to sizeof(moe_layer)");
        CHECK_FAILS(moe_layer_parse_sized(LAYER, wrong[i], &bad), MOE_E_INVALID, "layer.size is");
    }
    recorder_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_stay),
        cmocka_unit_test(test_read_and_write),
        cmocka_unit_test_setup_teardown(test_first_program, case_start, case_stop),
        cmocka_unit_test_setup_teardown(test_fewer_members, case_start, case_stop),
        cmocka_unit_test_setup_teardown(test_more_members, case_start, case_stop),
        cmocka_unit_test_setup_teardown(test_no_size, case_start, case_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
