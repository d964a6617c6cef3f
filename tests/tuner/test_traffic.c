/* label: unit */
/* test_traffic.c - traffic's text and traces, and what capacities waste of it, counted by hand. */
#include "models/safetensors.h"
#include "report/tradeoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char path[] = "traffic_test.safetensors";

static moe_layer layer_of(const char *text) {
    moe_layer layer;
    assert_int_equal(moe_layer_parse(text, &layer), MOE_OK);
    return layer;
}

static moe_traffic traffic_of(const char *text) {
    moe_traffic traffic;
    assert_int_equal(moe_traffic_parse(text, &traffic), MOE_OK);
    return traffic;
}

static void texts(void **state) {
    (void)state;
    static const char *const good[] = {"uniform", "zipf", "one", "empty", "zipf:1.25", "zipf:0",
                                       "trace:some/file.safetensors"};
    static const char *const bad[] = {"", "zip", "zipf:", "zipf:x", "zipf:-1", "zipf:11", "trace:"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[MOE_TRAFFIC_TEXT_SIZE];
        moe_text out = moe_text_start(text, sizeof text);
        const moe_traffic traffic = traffic_of(good[i]);
        moe_traffic_print(&traffic, &out);
        assert_string_equal(text, good[i]);
        assert_int_equal(moe_traffic_plain(&traffic), i < 4);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        moe_traffic traffic;
        if (moe_traffic_parse(bad[i], &traffic) != MOE_E_PARSE) fail_msg("'%s' parses", bad[i]);
    }
}

static void write_trace(const int *ids, const float *weights, int64_t tokens, int64_t k) {
    const moe_tensor tensors[] = {
        {"ids", MOE_TENSOR_I32, 2, {tokens, k}, ids, (size_t)(tokens * k) * 4},
        {"weights", MOE_TENSOR_F32, 2, {tokens, k}, weights, (size_t)(tokens * k) * 4},
    };
    assert_int_equal(moe_tensor_file_write(path, tensors, weights ? 2 : 1), MOE_OK);
}

static const int trace_ids[8] = {0, 1, 0, 2, 0, 1, 1, 0};
static const float trace_weights[8] = {.75f, .25f, .5f, .5f, .5f, .25f, .5f, .25f};

static void traces(void **state) {
    (void)state;
    const moe_traffic traffic = traffic_of("trace:traffic_test.safetensors");
    moe_layer layer = layer_of("d=8 f=8 e=3 k=2"), wide = layer_of("d=8 f=8 e=3 k=3");
    int ids[16];
    float weights[16];
    write_trace(trace_ids, trace_weights, 4, 2);
    assert_int_equal(moe_traffic_route(&traffic, &layer, 3, 1, ids, weights), MOE_OK);
    assert_memory_equal(ids, trace_ids, 6 * sizeof *ids);
    assert_memory_equal(weights, trace_weights, 6 * sizeof *weights);
    assert_int_equal(moe_traffic_route(&traffic, &layer, 5, 1, ids, weights), MOE_E_INVALID);
    assert_int_equal(moe_traffic_route(&traffic, &wide, 3, 1, ids, weights), MOE_E_INVALID);
    write_trace(trace_ids, NULL, 4, 2);
    assert_int_equal(moe_traffic_route(&traffic, &layer, 4, 1, ids, weights), MOE_OK);
    for (int i = 0; i < 8; i++) assert_true(weights[i] == 0.5f);
    unlink(path);
    assert_int_equal(moe_traffic_route(&traffic, &layer, 4, 1, ids, weights), MOE_E_NOT_FOUND);
}

/* C = ceil(4*2*0.75/3) = 2: expert 0 has the first choices of tokens 0 and 1; token 2's is dropped,
 * as is token 3's second; expert 1 gets token 3, then token 0, and no more. So 5 of 8 rows stay,
 * token 2 loses both, and weights .5 + .25 + .25 of 3.5 are lost. Tiles of 2 rows: 1 + 1 + 1. */
static void waste_by_hand(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=3 k=2 capacity=0.75");
    moe_waste waste;
    assert_int_equal(moe_waste_of_ids(&layer, 4, trace_ids, trace_weights, 2, &waste), MOE_OK);
    assert_true(waste.dropped == 3. / 8);
    assert_true(waste.lost == 1. / 4);
    assert_true(waste.weight == 1 / 3.5);
    assert_true(waste.padding == 1. / 6);
}

/* The steeper the law, the more is dropped; with exponent 0 all experts are alike. */
static void laws_are_in_order(void **state) {
    (void)state;
    moe_layer layer = layer_of("d=8 f=8 e=16 k=2 capacity=1.25");
    static const char *const laws[] = {"zipf:0", "zipf:0.5", "zipf", "zipf:2"};
    double last = -1;
    for (int i = 0; i < 4; i++) {
        const moe_traffic traffic = traffic_of(laws[i]);
        moe_waste waste;
        assert_int_equal(moe_waste_of(&layer, 4096, &traffic, 64, 3, &waste), MOE_OK);
        if (i == 0) assert_true(waste.dropped == 0);
        assert_true(waste.dropped > last);
        last = waste.dropped;
    }
}

static void charts_are_written(void **state) {
    (void)state;
    const moe_tradeoff rows[] = {
        {"1.25", "zipf:1.2", 64, 20, 2000, {.dropped = 0.25, .weight = 0.125, .padding = 0.5}},
        {"none", "trace:<a&b>", 64, 128, 0, {.padding = 0.75}},
    };
    static char text[1 << 14];
    assert_int_equal(moe_tradeoff_chart(rows, 2, "d=8 <f>", "us", "traffic_test.svg"), MOE_OK);
    FILE *file = fopen("traffic_test.svg", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    unlink("traffic_test.svg");
    static const char *const there[] = {"25.0%", "12.5%", "75.0%", "2.0 us", "not timed",
                                        "trace:&lt;a&amp;b>", "d=8 &lt;f>", "</svg>"};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        if (!strstr(text, there[i])) fail_msg("%s is not in the chart", there[i]);
    assert_int_equal(moe_tradeoff_chart(rows, 2, "", "us", "/nowhere/x.svg"), MOE_E_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(traces),
        cmocka_unit_test(waste_by_hand),
        cmocka_unit_test(laws_are_in_order),
        cmocka_unit_test(charts_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
