/* label: sim */
/* test_combine.c - the combine template on a simulated GPU against plain loops in double. Rows that
 * no slot points to are never written, so that reading one is a fault. */
#include "fixture.h"
#include "random.h"
#include "reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Inputs of one run on the host, and the result. */
typedef struct data {
    const moe_layer *layer;
    int64_t tokens, rows;
    unsigned char *y_rows, *y; /* in the layer's dtype */
    float *weights;
    int *slot_rows;
} data;

static void *room(size_t count, size_t size) {
    void *made = calloc(count + 1, size);
    assert_non_null(made);
    return made;
}

/* Slots own the rows in a shuffled order with gaps; a fifth of them is dropped, and so are all of
 * every seventh token. */
static data data_make(const moe_layer *layer, int64_t tokens) {
    int64_t slots = tokens * layer->k, rows = 2 * slots + 3;
    size_t size = moe_dtype_size(layer->x);
    data d = {layer,
              tokens,
              rows,
              room((size_t)(rows * layer->d), size),
              room((size_t)(tokens * layer->d), size),
              room((size_t)slots, sizeof(float)),
              room((size_t)slots, sizeof(int))};
    moe_random random = moe_random_stream(5, (uint64_t)slots);
    moe_random_normal(moe_random_stream(6, 0), layer->x, d.y_rows, rows * layer->d, 1);
    moe_random_normal(moe_random_stream(7, 0), MOE_F32, d.weights, slots, 1);
    for (int64_t s = 0; s < slots; s++) {
        bool drop = moe_random_bits(random, (uint64_t)s) % 5 == 0 || s / layer->k % 7 == 3;
        d.slot_rows[s] = drop ? -1 : (int)(2 * ((s * 13 + 5) % slots) + s % 2);
    }
    if (slots % 13 == 0) /* 13 does not shuffle then */
        for (int64_t s = 0; s < slots; s++)
            if (d.slot_rows[s] >= 0) d.slot_rows[s] = (int)(2 * s + 1);
    return d;
}

static void data_free(data *d) {
    free(d->y_rows);
    free(d->y);
    free(d->weights);
    free(d->slot_rows);
}

static void run(fixture *f, fixture_kernel *kernel, data *d) {
    const moe_layer *layer = d->layer;
    size_t size = moe_dtype_size(layer->x), width = (size_t)layer->d * size;
    size_t slots = (size_t)(d->tokens * layer->k);
    const moe_device_class *class = f->device->class;
    moe_arg_values args = {0};
    moe_ptr y_rows = fixture_room(f, (size_t)d->rows * width);
    for (size_t s = 0; s < slots; s++) {
        if (d->slot_rows[s] < 0) continue;
        size_t at = (size_t)d->slot_rows[s] * width;
        CHECK(class->copy_in(f->device->self, y_rows + at, d->y_rows + at, width));
    }
    args.value[MOE_ARG_y_rows] = y_rows;
    args.value[MOE_ARG_weights] = fixture_put(f, d->weights, slots * sizeof(float));
    args.value[MOE_ARG_slot_rows] = fixture_put(f, d->slot_rows, slots * sizeof(int));
    args.value[MOE_ARG_y] = fixture_room(f, (size_t)d->tokens * width);
    kernel->op.t = d->tokens;
    fixture_run(f, kernel, &args);
    fixture_get(f, args.value[MOE_ARG_y], d->y, (size_t)d->tokens * width);
    fixture_forget(f);
}

/* The sum's own fp32 roundings and, in the result's dtype, one more. */
static void check(const fixture_kernel *kernel, const data *d) {
    static const double roundoff[] = {
        [MOE_BF16] = 0x1p-8, [MOE_F16] = 0x1p-11, [MOE_F32] = 0x1p-24};
    const moe_layer *layer = d->layer;
    for (int64_t i = 0; i < d->tokens * layer->d; i++) {
        double want = 0, size = 0, got = moe_load(layer->x, d->y, i);
        for (int64_t j = 0; j < layer->k; j++) {
            int64_t slot = i / layer->d * layer->k + j, row = d->slot_rows[slot];
            if (row < 0) continue;
            double part = (double)d->weights[slot] *
                          moe_load(layer->x, d->y_rows, row * layer->d + i % layer->d);
            want += part;
            size += fabs(part);
        }
        double allowed = roundoff[layer->x] * fabs(want) + (double)layer->k * 0x1p-23 * size;
        if (layer->x == MOE_F16) allowed += 0x1p-25; /* subnormal */
        if (!(fabs(got - want) <= allowed))
            fail_msg("%s, T=%lld: y[%lld,%lld] is %.9g, should be %.9g", kernel->what,
                     (long long)d->tokens, (long long)(i / layer->d), (long long)(i % layer->d),
                     got, want);
    }
}

static void parse_layer(int d, int k, const char *dtype, moe_layer *layer) {
    char text[96];
    snprintf(text, sizeof text, "d=%d f=64 e=64 k=%d x=%s", d, k, dtype);
    CHECK(moe_layer_parse(text, layer));
}

typedef struct combine_case {
    int d, k;
    const char *dtype, *config;
} combine_case;

static void run_case(fixture *f, const combine_case *c, const int64_t *tokens, int count) {
    moe_layer layer;
    fixture_kernel kernel;
    parse_layer(c->d, c->k, c->dtype, &layer);
    moe_op op = moe_op_make(MOE_OP_combine, &layer, tokens[0], MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    fixture_build(f, "combine", &op, c->config, &kernel);
    for (int i = 0; i < count; i++) {
        data d = data_make(&layer, tokens[i]);
        run(f, &kernel, &d);
        check(&kernel, &d);
        data_free(&d);
    }
    fixture_kernel_free(f, &kernel);
}

static void run_cases(const char *device, const combine_case *cases, size_t cases_count,
                      const int64_t *tokens, int count) {
    fixture f;
    fixture_open(&f, device);
    for (size_t i = 0; i < cases_count; i++) run_case(&f, &cases[i], tokens, count);
    fixture_close(&f);
}

static void every_width_and_dtype(void **state) {
    (void)state;
    static const combine_case cases[] = {
        {8, 1, "bf16", ""},     {24, 8, "f16", ""},    {40, 2, "f32", ""},  {8, 32, "f32", ""},
        {352, 10, "bf16", ""},  {1024, 4, "f16", ""},  {1000, 6, "f32", ""}, {2880, 4, "bf16", ""},
        {2048, 22, "bf16", ""}, {7168, 8, "bf16", ""}, {512, 16, "f16", ""},
    };
    static const int64_t tokens[] = {1, 7, 64};
    run_cases("sim:a100", cases, sizeof cases / sizeof *cases, tokens, 3);
}

static void every_kind_of_config(void **state) {
    (void)state;
    static const combine_case cases[] = {
        {1024, 8, "bf16", "threads=64 tokens=1 split=1"},
        {1024, 8, "bf16", "threads=64 tokens=1 split=4"},
        {1000, 8, "bf16", "threads=64 tokens=1 split=2"},
        {1000, 8, "f16", "threads=512 tokens=4 split=1"},
        {520, 8, "f32", "threads=256 tokens=8 split=1"},
        {7168, 8, "bf16", "threads=128 tokens=1 split=8"},
    };
    static const int64_t tokens[] = {129, 8};
    run_cases("sim:h100", cases, sizeof cases / sizeof *cases, tokens, 2);
}

/* An infinite weight or row must not reach the sum through a dropped slot. */
static void dropped_slots_are_left_out(void **state) {
    (void)state;
    static const int rows[] = {-1, 0, -1, -1};
    float y[2][64], weights[] = {INFINITY, 2, NAN, 1}, one[64], want;
    fixture f;
    fixture_kernel kernel;
    moe_layer layer;
    moe_arg_values args = {0};
    for (int i = 0; i < 64; i++) one[i] = (float)i;
    parse_layer(64, 2, "f32", &layer);
    moe_op op = moe_op_make(MOE_OP_combine, &layer, 2, MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
    fixture_open(&f, "sim:a100");
    fixture_build(&f, "combine", &op, "", &kernel);
    args.value[MOE_ARG_y_rows] = fixture_put(&f, one, sizeof one);
    args.value[MOE_ARG_weights] = fixture_put(&f, weights, sizeof weights);
    args.value[MOE_ARG_slot_rows] = fixture_put(&f, rows, sizeof rows);
    args.value[MOE_ARG_y] = fixture_room(&f, sizeof y);
    fixture_run(&f, &kernel, &args);
    fixture_get(&f, args.value[MOE_ARG_y], y, sizeof y);
    for (int i = 0; i < 64; i++) {
        want = 2 * (float)i;
        if (y[0][i] != want || y[1][i] != 0)
            fail_msg("y[.,%d] is %g and %g, should be %g and 0", i, (double)y[0][i],
                     (double)y[1][i], (double)want);
    }
    fixture_kernel_free(&f, &kernel);
    fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width_and_dtype),
        cmocka_unit_test(every_kind_of_config),
        cmocka_unit_test(dropped_slots_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
