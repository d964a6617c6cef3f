/* experts.c - the experts of the reference layer: rows, whole layers, exact and rounded.
 *
 *   h = act(x_t @ up_e^T + up_bias_e)      y_row = h @ down_e^T + down_bias_e
 *   y_t = sum over kept choices j, in order, of weight_tj * y_row_tj
 *
 * A shared expert adds the same of one wide expert, times its gate, for every token.
 *
 * Where the router weighs the input, weight_tj multiplies x_t in h instead, and y_t is a plain sum.
 *
 * Work is a list of (token, expert) pairs, grouped by expert so that each expert's weights are
 * converted once. */
#include "activation.h"
#include "core/number.h"
#include "matmul.h"
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 512 << 20 }; /* of intermediate rows that a whole layer holds at once */

/* How intermediate results are kept. */
typedef struct numerics {
    bool rounded; /* fp32 sums, and h, y_rows and y in `dtype` */
    moe_dtype dtype;
} numerics;

static double keep_sum(numerics how, double value) {
    return how.rounded ? (double)(float)value : value;
}

static double keep_result(numerics how, double value) {
    return how.rounded ? moe_round(how.dtype, value) : value;
}

/* A matrix product under construction: n pairs by expert, with their row pointers. */
typedef struct product {
    int64_t *start;
    const double **in;
    double **out;
} product;

static void product_free(product *p) {
    free(p->start);
    free(p->in);
    free(p->out);
}

/* Pair i reads row i of `in` [n,inputs] and writes row i of `out` [n,outputs]. */
static moe_status product_init(product *p, int64_t experts, int64_t n, const int *expert,
                               const double *in, int64_t inputs, double *out, int64_t outputs) {
    p->start = calloc((size_t)experts + 2, sizeof *p->start);
    p->in = malloc((size_t)n * sizeof *p->in);
    p->out = malloc((size_t)n * sizeof *p->out);
    if (!p->start || !p->in || !p->out)
        return moe_fail(MOE_E_MEMORY, "no memory for %lld rows of the reference", (long long)n);
    /* start[e+1] counts, then points at e's next free row, and ends as the start of e+1 */
    for (int64_t i = 0; i < n; i++) p->start[expert[i] + 2]++;
    for (int64_t e = 0; e < experts; e++) p->start[e + 2] += p->start[e + 1];
    for (int64_t i = 0; i < n; i++) {
        int64_t row = p->start[expert[i] + 1]++;
        p->in[row] = in + i * inputs;
        p->out[row] = out + i * outputs;
    }
    return MOE_OK;
}

static moe_status multiply(const moe_layer *layer, numerics how, const void *weight, int64_t n,
                           const int *experts, const double *in, int64_t inputs, double *out,
                           int64_t outputs) {
    product p = {0};
    int64_t held = moe_layer_held(layer);
    moe_status status = product_init(&p, held, n, experts, in, inputs, out, outputs);
    if (!status)
        moe_matmul_run(&(moe_matmul){.dtype = layer->w,
                                     .weight = weight,
                                     .groups = held,
                                     .outputs = outputs,
                                     .inputs = inputs,
                                     .start = p.start,
                                     .in = p.in,
                                     .out = p.out,
                                     .single = how.rounded});
    product_free(&p);
    return status;
}

/* Adds row `expert` of bias [e,n] to a row of sums. bias NULL: nothing. */
static void add_bias(numerics how, moe_dtype dtype, const void *bias, int expert, int64_t n,
                     double *row) {
    for (int64_t i = 0; bias && i < n; i++)
        row[i] = keep_sum(how, row[i] + moe_load(dtype, bias, expert * n + i));
}

/* Row of column c among an expert's up weights: of the gate (half 0), or of what it gates. */
static int64_t up_row(const moe_layer *layer, int half, int64_t c) {
    if (!moe_layer_gated(layer)) return c;
    switch (layer->layout) {
    case MOE_LAYOUT_UP_GATE: return (1 - half) * layer->f + c;
    case MOE_LAYOUT_INTERLEAVED: return 2 * c + half;
    default: return half * layer->f + c;
    }
}

static moe_status up_rows(const moe_layer *layer, const moe_host_layer *in, numerics how, int64_t n,
                          const int64_t *tokens, const int *experts, const double *weights,
                          double *h) {
    int64_t d = layer->d, f = layer->f, width = moe_layer_up_rows(layer);
    for (int64_t i = 0; width == 0 && i < n * f; i++) h[i] = moe_activate(&layer->act, 0, 0);
    if (width == 0) return MOE_OK; /* whatever x is */
    const void *bias = layer->bias & MOE_BIAS_UP ? in->up_bias : NULL;
    double *x = malloc((size_t)(n * d) * sizeof *x);
    double *sums = malloc((size_t)(n * width) * sizeof *sums);
    moe_status status = MOE_OK;
    if (!x || !sums) {
        status = moe_fail(MOE_E_MEMORY, "no memory for %lld rows of the reference", (long long)n);
        goto done;
    }
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++) {
        double weight = layer->router.input ? weights[i] : 1;
        for (int64_t c = 0; c < d; c++)
            x[i * d + c] = keep_result(how, weight * moe_load(layer->x, in->x, tokens[i] * d + c));
    }
    status = multiply(layer, how, in->up, n, experts, x, d, sums, width);
    if (status) goto done;
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++) {
        double *row = sums + i * width;
        add_bias(how, layer->w, bias, experts[i], width, row);
        for (int64_t c = 0; c < f; c++)
            h[i * f + c] = keep_result(how, moe_activate(&layer->act, row[up_row(layer, 0, c)],
                                                         row[up_row(layer, 1, c)]));
    }
done:
    free(x);
    free(sums);
    return status;
}

static moe_status down_rows(const moe_layer *layer, const moe_host_layer *in, numerics how,
                            int64_t n, const double *h, const int *experts, double *y_rows) {
    const void *bias = layer->bias & MOE_BIAS_DOWN ? in->down_bias : NULL;
    MOE_TRY(multiply(layer, how, in->down, n, experts, h, layer->f, y_rows, layer->d));
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++) {
        double *row = y_rows + i * layer->d;
        add_bias(how, layer->w, bias, experts[i], layer->d, row);
        for (int64_t c = 0; c < layer->d; c++) row[c] = keep_result(how, row[c]);
    }
    return MOE_OK;
}

void moe_ref_local_ids(const moe_layer *layer, int first, int64_t slots, const int *ids,
                       int *local) {
    for (int64_t s = 0; s < slots; s++) {
        bool held = ids[s] >= first && ids[s] - first < moe_layer_held(layer);
        local[s] = held ? ids[s] - first : -1;
    }
}

static const numerics exact = {false, MOE_F32};

moe_status moe_ref_up_rows(const moe_layer *layer, const moe_host_layer *in, int64_t n,
                           const int64_t *tokens, const int *experts, const double *weights,
                           double *h) {
    return up_rows(layer, in, exact, n, tokens, experts, weights, h);
}

moe_status moe_ref_down_rows(const moe_layer *layer, const moe_host_layer *in, int64_t n,
                             const double *h, const int *experts, double *y_rows) {
    return down_rows(layer, in, exact, n, h, experts, y_rows);
}

moe_status moe_ref_up(const moe_layer *layer, const moe_host_layer *in, int64_t token, int expert,
                      double *h) {
    static const double one = 1;
    return up_rows(layer, in, exact, 1, &token, &expert, &one, h);
}

moe_status moe_ref_down(const moe_layer *layer, const moe_host_layer *in, const double *h,
                        int expert, double *y_row) {
    return down_rows(layer, in, exact, 1, h, &expert, y_row);
}

/* The routing of all tokens, as a whole layer takes it. */
typedef struct routing {
    const int *ids;
    const double *weights;
    const unsigned char *kept;
} routing;

/* The kept pairs of some tokens, and their rows. */
typedef struct batch {
    int64_t *tokens; /* [pairs] */
    int *experts;    /* [pairs] */
    double *weights; /* [pairs] */
    int64_t *first;  /* [n+1] pairs of each token */
    double *h, *y_rows;
    double *shared;  /* [n,d] of the shared expert, weighted; NULL: there is none */
} batch;

static void batch_free(batch *b) {
    free(b->tokens);
    free(b->experts);
    free(b->weights);
    free(b->first);
    free(b->h);
    free(b->y_rows);
    free(b->shared);
}

static moe_status batch_init(batch *b, const moe_layer *layer, int64_t n) {
    size_t pairs = (size_t)(n * layer->k);
    b->tokens = malloc(pairs * sizeof *b->tokens);
    b->experts = malloc(pairs * sizeof *b->experts);
    b->weights = malloc(pairs * sizeof *b->weights);
    b->first = malloc(((size_t)n + 1) * sizeof *b->first);
    b->h = malloc(pairs * (size_t)layer->f * sizeof *b->h);
    b->y_rows = malloc(pairs * (size_t)layer->d * sizeof *b->y_rows);
    if (layer->shared.f) b->shared = malloc((size_t)(n * layer->d) * sizeof *b->shared);
    if (!b->tokens || !b->experts || !b->weights || !b->first || !b->h || !b->y_rows ||
        (layer->shared.f && !b->shared))
        return moe_fail(MOE_E_MEMORY, "no memory for %zu rows of the reference layer", pairs);
    return MOE_OK;
}

/* Pairs of the tokens chosen[from] .. chosen[from+n] (chosen NULL: tokens from .. from+n). */
static int64_t batch_fill(batch *b, const moe_layer *layer, const routing *r, const int64_t *chosen,
                          int64_t from, int64_t n) {
    int64_t pairs = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t token = chosen ? chosen[from + i] : from + i;
        b->first[i] = pairs;
        for (int64_t slot = token * layer->k; slot < (token + 1) * layer->k; slot++) {
            if (r->ids[slot] < 0 || r->ids[slot] >= moe_layer_held(layer)) continue;
            if (r->kept && !r->kept[slot]) continue;
            b->tokens[pairs] = token;
            b->experts[pairs] = r->ids[slot];
            b->weights[pairs++] = r->weights[slot];
        }
        moe_ref_drop(layer, pairs - b->first[i], b->weights + b->first[i]);
    }
    return b->first[n] = pairs;
}

double moe_ref_shared_weight(const moe_layer *layer, const moe_host_layer *in, int64_t token) {
    double sum = 0;
    if (!layer->shared.gated) return 1;
    for (int64_t c = 0; c < layer->d; c++)
        sum += moe_load(layer->x, in->x, token * layer->d + c) *
               moe_load(layer->w, in->shared_gate, c);
    return 1 / (1 + exp(-sum));
}

/* b->shared of tokens chosen[from] .. : the shared expert is a layer of one expert. */
static moe_status shared_rows(batch *b, const moe_layer *layer, const moe_host_layer *in,
                              numerics how, const int64_t *chosen, int64_t from, int64_t n) {
    const moe_layer one = {.d = layer->d, .f = layer->shared.f, .e = 1, .k = 1, .act = layer->act,
                           .x = layer->x, .w = layer->w, .layout = layer->layout};
    const moe_host_layer only = {.x = in->x, .up = in->shared_up, .down = in->shared_down};
    double *h = malloc((size_t)(n * one.f) * sizeof *h);
    int64_t *tokens = malloc((size_t)n * sizeof *tokens);
    int *experts = calloc((size_t)n, sizeof *experts);
    moe_status status = MOE_OK;
    if (!h || !tokens || !experts)
        status = moe_fail(MOE_E_MEMORY, "no memory for the shared expert's reference");
    for (int64_t i = 0; i < n && !status; i++) tokens[i] = chosen ? chosen[from + i] : from + i;
    if (!status) status = up_rows(&one, &only, how, n, tokens, experts, NULL, h);
    if (!status) status = down_rows(&one, &only, how, n, h, experts, b->shared);
    for (int64_t i = 0; i < n && !status; i++) {
        double weight = keep_sum(how, moe_ref_shared_weight(layer, in, tokens[i]));
        for (int64_t c = 0; c < layer->d; c++) b->shared[i * layer->d + c] *= weight;
    }
    free(h);
    free(tokens);
    free(experts);
    return status;
}

static void combine(const moe_layer *layer, numerics how, const batch *b, int64_t n, double *y) {
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++) {
        for (int64_t c = 0; c < layer->d; c++) {
            double sum = 0;
            for (int64_t p = b->first[i]; p < b->first[i + 1]; p++) {
                double weight = layer->router.input ? 1 : keep_sum(how, b->weights[p]);
                sum = keep_sum(how, sum + weight * b->y_rows[p * layer->d + c]);
            }
            if (b->shared) sum = keep_sum(how, sum + b->shared[i * layer->d + c]);
            y[i * layer->d + c] = keep_result(how, sum);
        }
    }
}

static moe_status run_layer(const moe_layer *layer, const moe_host_layer *in, numerics how,
                            const routing *r, const int64_t *chosen, int64_t n, double *y) {
    int64_t width = 2 * layer->d + moe_layer_up_rows(layer) + layer->f;
    int64_t seen = layer->k + moe_layer_shared_experts(layer); /* experts of a token */
    int64_t chunk = CHUNK_BYTES / (int64_t)sizeof(double) / (seen * width);
    if (chunk < 1) chunk = 1;
    if (chunk > n) chunk = n;
    if (n == 0) return MOE_OK;
    batch b = {0};
    moe_status status = batch_init(&b, layer, chunk);
    for (int64_t from = 0; from < n && !status; from += chunk) {
        int64_t count = n - from < chunk ? n - from : chunk;
        int64_t pairs = batch_fill(&b, layer, r, chosen, from, count);
        if (pairs) status = up_rows(layer, in, how, pairs, b.tokens, b.experts, b.weights, b.h);
        if (pairs && !status) status = down_rows(layer, in, how, pairs, b.h, b.experts, b.y_rows);
        if (b.shared && !status)
            status = shared_rows(&b, layer, in, how, chosen, from, count);
        if (!status) combine(layer, how, &b, count, y + from * layer->d);
    }
    batch_free(&b);
    return status;
}

moe_status moe_ref_layer(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                         const int *ids, const double *weights, const unsigned char *kept,
                         const int64_t *chosen, int64_t n, double *y) {
    (void)tokens;
    return run_layer(layer, in, exact, &(routing){ids, weights, kept}, chosen, n, y);
}

moe_status moe_ref_rounded_layer(const moe_layer *layer, int64_t tokens, const moe_host_layer *in,
                                 const int *ids, const double *weights, const unsigned char *kept,
                                 const int64_t *chosen, int64_t n, double *y) {
    (void)tokens;
    return run_layer(layer, in, (numerics){true, layer->x}, &(routing){ids, weights, kept}, chosen,
                     n, y);
}
