/* gemm_case.c - one run of a grouped GEMM kernel on random rows, judged by the reference. */
#include "gemm_case.h"

#include "tolerance.h"
#include "workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

/* What permute would make, and for every live row who it is. */
typedef struct maps {
    int *start, *rows, *tiles; /* expert_start, expert_rows, tile_start */
    int *slots;                /* row_slots; -1 in a gap */
    int *expert;               /* of each row; -1 in a gap */
    float *weights;            /* [T,k] */
    int64_t total;             /* rows with gaps */
} maps;

static void *make(int64_t count, size_t size) {
    void *made = calloc((size_t)count + 1, size);
    assert_non_null(made);
    return made;
}

static void maps_free(maps *m) {
    free(m->start);
    free(m->rows);
    free(m->tiles);
    free(m->slots);
    free(m->expert);
    free(m->weights);
}

/* Rows in choice-major order, the order of permute. */
static maps maps_make(const moe_layer *layer, int64_t tokens, const int *ids,
                      const unsigned char *kept, int64_t row_align) {
    int64_t e = layer->e, k = layer->k;
    maps m = {make(e + 1, sizeof(int)), make(e, sizeof(int)),
              make(MOE_TILE_HEIGHTS * (e + 1), sizeof(int)), NULL, NULL, NULL, 0};
    for (int64_t s = 0; s < tokens * k; s++) m.rows[ids[s]] += kept[s];
    for (int64_t i = 0; i < e; i++)
        m.start[i + 1] = m.start[i] + (int)((m.rows[i] + row_align - 1) / row_align * row_align);
    for (int h = 0; h < MOE_TILE_HEIGHTS; h++)
        for (int64_t i = 0; i < e; i++)
            m.tiles[h * (e + 1) + i + 1] =
                m.tiles[h * (e + 1) + i] +
                (m.rows[i] + moe_tile_heights[h] - 1) / moe_tile_heights[h];
    m.total = m.start[e];
    m.slots = make(m.total, sizeof(int));
    m.expert = make(m.total, sizeof(int));
    memset(m.slots, 0xff, (size_t)m.total * sizeof(int));
    memset(m.expert, 0xff, (size_t)m.total * sizeof(int));
    int *next = make(e, sizeof(int));
    memcpy(next, m.start, (size_t)e * sizeof(int));
    for (int64_t j = 0; j < k; j++)
        for (int64_t t = 0; t < tokens; t++) {
            int64_t s = t * k + j;
            if (!kept[s]) continue;
            m.slots[next[ids[s]]] = (int)s;
            m.expert[next[ids[s]]++] = ids[s];
        }
    free(next);
    return m;
}

/* Routes the workload's tokens and makes the maps. */
static maps route(const moe_workload *w, int64_t row_align) {
    int64_t slots = w->tokens * w->layer.k;
    int *ids = make(slots, sizeof(int));
    unsigned char *kept = make(slots, 1);
    double *weights = make(slots, sizeof(double));
    double *logits = make(w->tokens * w->layer.e, sizeof(double));
    for (int64_t i = 0; i < w->tokens * w->layer.e; i++) logits[i] = (double)w->logits[i];
    moe_ref_route(&w->layer, w->tokens, logits, w->router_bias, ids, weights, NULL, NULL);
    moe_ref_capacity(&w->layer, w->tokens, ids, NULL, kept);
    maps m = maps_make(&w->layer, w->tokens, ids, kept, row_align);
    m.weights = make(slots, sizeof(float));
    for (int64_t s = 0; s < slots; s++) m.weights[s] = (float)weights[s];
    free(ids);
    free(kept);
    free(weights);
    free(logits);
    return m;
}

/* The live rows' numbers; returns how many. */
static int64_t live_rows(const maps *m, int64_t *row, int *expert) {
    int64_t n = 0;
    for (int64_t i = 0; i < m->total; i++) {
        if (m->expert[i] < 0) continue;
        expert[n] = m->expert[i];
        row[n++] = i;
    }
    return n;
}

/* Random h [total,f] in the layer's dtype; the same values in double for the n live rows. Gap rows
 * stay unwritten on the device. */
static moe_ptr put_h(fixture *f, const moe_layer *layer, const maps *m, int64_t n,
                     const int64_t *row, double *h) {
    size_t size = moe_dtype_size(layer->x), bytes = (size_t)layer->f * size;
    moe_ptr made = fixture_room(f, (size_t)m->total * bytes);
    char *host = make(layer->f, size);
    uint64_t state = 12345;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < layer->f; j++) {
            double sum = -2.0; /* of four uniform numbers: mean 0, variance 1/3 */
            for (int part = 0; part < 4; part++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                sum += (double)(state >> 33) / 2147483648.0;
            }
            moe_store(layer->x, host, j, sum * 1.732);
            h[i * layer->f + j] = moe_load(layer->x, host, j);
        }
        CHECK(f->device->class->copy_in(f->device->self, made + (uint64_t)row[i] * bytes, host,
                                        bytes));
    }
    free(host);
    return made;
}

/* Fails unless row `i` of the output is as it was poisoned. */
static void check_untouched(const char *what, const unsigned char *out, int64_t i, size_t bytes) {
    for (size_t b = 0; b < bytes; b++)
        if (out[(size_t)i * bytes + b] != 0xff)
            fail_msg("%s: wrote to row %d, a gap", what, (int)i);
}

static void judge(const fixture_kernel *kernel, const maps *m, int64_t n, const int64_t *row,
                  int64_t width, const unsigned char *out, const double *want) {
    moe_dtype dtype = kernel->op.layer.x;
    size_t bytes = (size_t)width * moe_dtype_size(dtype);
    double *got = make(n * width, sizeof(double));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < width; j++)
            got[i * width + j] = moe_load(dtype, out, row[i] * width + j);
    for (int64_t i = 0; i < m->total; i++)
        if (m->expert[i] < 0) check_untouched(kernel->what, out, i, bytes);
    moe_error_stats error = moe_compare(got, want, n * width);
    double tolerance = moe_op_tolerance(&kernel->op), l2 = moe_op_tolerance_l2(&kernel->op);
    if (error.max_over_rms > tolerance || (n * width >= 1000 && error.rel_l2 > l2))
        fail_msg("%s: row %d column %d is %g, not %g; error %.3g of %.3g, l2 %.3g of %.3g",
                 kernel->what, (int)row[error.worst / width], (int)(error.worst % width),
                 got[error.worst], want[error.worst], error.max_over_rms, tolerance, error.rel_l2,
                 l2);
    free(got);
}

static uint64_t put_bias(fixture *f, const moe_layer *layer, const void *bias, int64_t count) {
    return bias ? fixture_put(f, bias, (size_t)count * moe_dtype_size(layer->w)) : 0;
}

/* Arguments, and what the kernel should give for the live rows. */
static void set_up(fixture *f, const moe_workload *w, const maps *m, int64_t n, const int64_t *row,
                   const int *expert, moe_arg_values *args, double *want) {
    const moe_layer *layer = &w->layer;
    moe_layer_sizes sizes = moe_layer_elements(layer, w->tokens);
    moe_host_layer host = moe_workload_host(w);
    int64_t *token = make(n, sizeof *token);
    double *weight = make(n, sizeof *weight);
    size_t size = moe_dtype_size(layer->x);
    for (int64_t i = 0; i < n; i++) {
        token[i] = m->slots[row[i]] / layer->k;
        weight[i] = (double)m->weights[m->slots[row[i]]];
    }
    args->value[MOE_ARG_x] = fixture_put(f, w->x, (size_t)sizes.x * size);
    args->value[MOE_ARG_up] = fixture_put(f, w->up, (size_t)sizes.up * size);
    args->value[MOE_ARG_up_bias] = put_bias(f, layer, w->up_bias, sizes.up_bias);
    args->value[MOE_ARG_row_slots] = fixture_put(f, m->slots, (size_t)m->total * sizeof(int));
    args->value[MOE_ARG_weights] =
        fixture_put(f, m->weights, (size_t)(w->tokens * layer->k) * sizeof(float));
    args->value[MOE_ARG_h] = fixture_room(f, (size_t)(m->total * layer->f) * size);
    CHECK(moe_ref_up_rows(layer, &host, n, token, expert, weight, want));
    free(token);
    free(weight);
}

static void set_down(fixture *f, const moe_workload *w, const maps *m, int64_t n,
                     const int64_t *row, const int *expert, moe_arg_values *args, double *want) {
    const moe_layer *layer = &w->layer;
    moe_layer_sizes sizes = moe_layer_elements(layer, w->tokens);
    moe_host_layer host = moe_workload_host(w);
    size_t size = moe_dtype_size(layer->x);
    double *h = make(n * layer->f, sizeof(double));
    args->value[MOE_ARG_h] = put_h(f, layer, m, n, row, h);
    args->value[MOE_ARG_down] = fixture_put(f, w->down, (size_t)sizes.down * size);
    args->value[MOE_ARG_down_bias] = put_bias(f, layer, w->down_bias, sizes.down_bias);
    args->value[MOE_ARG_y_rows] = fixture_room(f, (size_t)(m->total * layer->d) * size);
    CHECK(moe_ref_down_rows(layer, &host, n, h, expert, want));
    free(h);
}

/* The rows' weights, and y as sums [tokens,d] of the rows `want` by their tokens. */
static double *set_sums(fixture *f, const moe_layer *layer, int64_t tokens, const maps *m,
                        int64_t n, const int64_t *row, const double *want, moe_arg_values *args) {
    int64_t slots = tokens * layer->k, d = layer->d;
    float *weights = make(slots, sizeof *weights);
    int *slot_rows = make(slots, sizeof *slot_rows);
    double *sums = make(tokens * d, sizeof *sums);
    for (int64_t s = 0; s < slots; s++) {
        weights[s] = (float)((s * 29 + 7) % 64 + 1) / 64.0f / (float)layer->k;
        slot_rows[s] = -1;
    }
    for (int64_t i = 0; i < n; i++) {
        int slot = m->slots[row[i]];
        double weight = layer->router.input ? 1 : (double)weights[slot];
        slot_rows[slot] = (int)row[i];
        for (int64_t j = 0; j < d; j++)
            sums[slot / layer->k * d + j] += weight * want[i * d + j];
    }
    args->value[MOE_ARG_row_slots] = fixture_put(f, m->slots, (size_t)m->total * sizeof(int));
    args->value[MOE_ARG_slot_rows] = fixture_put(f, slot_rows, (size_t)slots * sizeof(int));
    args->value[MOE_ARG_weights] = fixture_put(f, weights, (size_t)slots * sizeof(float));
    args->value[MOE_ARG_y] =
        fixture_room(f, (size_t)(tokens * d) * moe_dtype_size(layer->x));
    args->value[MOE_ARG_flags] = fixture_room(f, MOE_FLAGS * sizeof(int));
    free(weights);
    free(slot_rows);
    return sums;
}

/* Runs the kernel with its flags at zero and fetches its output. */
static unsigned char *run(fixture *f, const fixture_kernel *kernel, moe_arg_values *args,
                          moe_arg output, size_t bytes) {
    const moe_device_class *class = f->device->class;
    unsigned char *out = make((int64_t)bytes, 1);
    if (args->value[MOE_ARG_flags])
        CHECK(class->fill(f->device->self, args->value[MOE_ARG_flags], 0, MOE_FLAGS * sizeof(int),
                          NULL));
    fixture_run(f, kernel, args);
    fixture_get(f, args->value[output], out, bytes);
    return out;
}

uint64_t gemm_case_check(fixture *f, const char *template, const gemm_case *each) {
    bool up = each->kind == MOE_OP_gemm_up, summed = each->kind == MOE_OP_down_combine;
    moe_arg output = up ? MOE_ARG_h : summed ? MOE_ARG_y : MOE_ARG_y_rows;
    moe_layer layer;
    moe_workload w;
    fixture_kernel kernel;
    moe_arg_values args = {{0}};
    CHECK(moe_layer_parse(each->layer, &layer));
    int64_t e = layer.e, width = up ? layer.f : layer.d;
    CHECK(moe_workload_init(&w, &layer, each->tokens, each->routing, 7,
                            MOE_MAKE_X | MOE_MAKE_LOGITS | (up ? MOE_MAKE_UP : MOE_MAKE_DOWN)));
    maps m = route(&w, each->row_align ? each->row_align : 1);
    int64_t *row = make(m.total, sizeof *row);
    int *expert = make(m.total, sizeof *expert);
    int64_t n = live_rows(&m, row, expert);
    double *want = make(n * width, sizeof(double));
    (up ? set_up : set_down)(f, &w, &m, n, row, expert, &args, want);
    args.value[MOE_ARG_expert_start] = fixture_put(f, m.start, (size_t)(e + 1) * sizeof(int));
    args.value[MOE_ARG_expert_rows] = fixture_put(f, m.rows, (size_t)e * sizeof(int));
    args.value[MOE_ARG_tile_start] =
        fixture_put(f, m.tiles, (size_t)(MOE_TILE_HEIGHTS * (e + 1)) * sizeof(int));

    moe_op op = moe_op_make(each->kind, &layer, each->tokens, each->routing, MOE_CACHE_COLD);
    fixture_build(f, template, &op, each->config ? each->config : "", &kernel);
    kernel.rows = m.total;
    maps outputs = m;
    if (summed) { /* by token, without gaps */
        double *sums = set_sums(f, &layer, each->tokens, &m, n, row, want, &args);
        free(want);
        want = sums;
        outputs = (maps){.expert = make(each->tokens, sizeof(int)), .total = each->tokens};
        row = realloc(row, (size_t)(each->tokens + 1) * sizeof *row);
        for (n = 0; n < each->tokens; n++) row[n] = n;
    }
    size_t bytes = (size_t)(outputs.total * width) * moe_dtype_size(layer.x);
    unsigned char *out = run(f, &kernel, &args, output, bytes);
    judge(&kernel, &outputs, n, row, width, out, want);
    /* In another order of warps, where the device has a seed. */
    unsigned char *again = run(f, &kernel, &args, output, bytes);
    if (!kernel.compiled.image.launch.deterministic)
        judge(&kernel, &outputs, n, row, width, again, want);
    else if (memcmp(out, again, bytes))
        fail_msg("%s: a second run gives other bits", kernel.what);
    uint64_t bits = XXH3_64bits(out, bytes);
    if (summed) maps_free(&outputs);

    free(again);
    free(out);
    free(want);
    free(row);
    free(expert);
    maps_free(&m);
    moe_workload_free(&w);
    fixture_kernel_free(f, &kernel);
    fixture_forget(f);
    return bits;
}
