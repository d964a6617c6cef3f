/* layer_verify.c - judging what a plan made of a whole layer. */
#include "check.h"
#include "core/router.h"
#include "judge/layer_case_private.h"
#include "tolerance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENOUGH_FOR_L2 = 1000 };

/* A plan's error may exceed that of a plain pipeline by this. f32 products may be made of three
 * tf32 products, which keep two bits less of each than the pipeline's fp32 does: 1.5 to 1.8 times
 * its error was seen. */
static const double yardstick[MOE_FLOATS] = {
    [MOE_BF16] = 1.5, [MOE_F16] = 1.5, [MOE_F32] = 2.5};

/* What a run wrote, and what follows from it. */
typedef struct results {
    int *ids, *counts, *slot_rows;
    int *chosen;              /* [e] slots by the ids */
    int *local;               /* [T,k] ids by the device's numbers */
    float *weights, *mean_probs, *losses, *next_bias;
    char *y;
    void *x;                  /* [T,d] as the experts see it, where that is jittered */
    unsigned char *kept;      /* [T,k] by the ids */
    double *exact_weights;    /* [T,k], of the chosen tokens */
    double *own_weights;      /* [T,k] as the kernel has them */
    double *got, *want, *rounded; /* [spots,d] */
} results;

static void results_free(results *r) {
    free(r->ids);
    free(r->chosen);
    free(r->local);
    free(r->counts);
    free(r->slot_rows);
    free(r->weights);
    free(r->mean_probs);
    free(r->losses);
    free(r->next_bias);
    free(r->y);
    free(r->x);
    free(r->kept);
    free(r->exact_weights);
    free(r->own_weights);
    free(r->got);
    free(r->want);
    free(r->rounded);
}

/* --------------------------------------------------------------------------------------- run */

/* What a run writes, the workspace among it. */
static bool is_output(const moe_layer_case *c, int buffer) {
    return buffer == LAYER_WORKSPACE || layer_host(c, (moe_arg)buffer) == NULL;
}

static moe_status run(moe_layer_case *c, const moe_plan *plan, double *ns) {
    const moe_device_class *class = c->device->class;
    void *self = c->device->self;
    MOE_TRY(moe_layer_case_fit(c, plan));
    for (int i = 0; i < LAYER_BUFFERS; i++)
        if (c->address[i] && is_output(c, i))
            MOE_TRY(class->poison(self, c->address[i], c->bytes[i]));
    const moe_io io = layer_io(c, true);
    MOE_TRY(class->time_begin(self));
    moe_status status = moe_plan_run(plan, &io, c->tokens, NULL);
    moe_status ended = class->time_end(self, ns);
    MOE_TRY(status ? status : ended);
    return class->sync(self, NULL);
}

static moe_status download(moe_layer_case *c, moe_arg which, void *out) {
    char *host = calloc(c->bytes[which] + 1, 1);
    if (!host) return moe_fail(MOE_E_MEMORY, "no memory for a layer's results");
    *(char **)out = host;
    if (!c->address[which]) return MOE_OK;
    return c->device->class->copy_out(c->device->self, host, c->address[which], c->bytes[which]);
}

static moe_status download_all(moe_layer_case *c, results *r) {
    MOE_TRY(download(c, MOE_ARG_ids, &r->ids));
    MOE_TRY(download(c, MOE_ARG_weights, &r->weights));
    MOE_TRY(download(c, MOE_ARG_counts, &r->counts));
    MOE_TRY(download(c, MOE_ARG_mean_probs, &r->mean_probs));
    MOE_TRY(download(c, MOE_ARG_losses, &r->losses));
    MOE_TRY(download(c, MOE_ARG_next_bias, &r->next_bias));
    MOE_TRY(download(c, MOE_ARG_slot_rows, &r->slot_rows));
    return download(c, MOE_ARG_y, &r->y);
}

/* ----------------------------------------------------------------------------------- judging */

static bool fail(moe_layer_verdict *out, const char *text) {
    snprintf(out->text, sizeof out->text, "%s", text);
    return out->ok = false;
}

static bool is_held(const moe_layer_case *c, int64_t expert) {
    return expert >= c->first_expert && expert < c->first_expert + moe_layer_held(&c->layer);
}

/* Slots that chose each expert, [e]; ids that are none do not count. */
static moe_status count_choices(const moe_layer_case *c, results *r) {
    r->chosen = calloc((size_t)c->layer.e, sizeof *r->chosen);
    if (!r->chosen) return moe_fail(MOE_E_MEMORY, "no memory for a layer's counts");
    for (int64_t s = 0; s < c->tokens * c->layer.k; s++)
        if (r->ids[s] >= 0 && r->ids[s] < c->layer.e) r->chosen[r->ids[s]]++;
    return MOE_OK;
}

/* Counts follow from the ids, though experts held elsewhere need not be counted. Without tokens
 * every statistic is 0. */
static bool statistics_are_right(const moe_layer_case *c, const results *r,
                                 moe_layer_verdict *out) {
    char text[128];
    for (int64_t e = 0; e < c->layer.e; e++) {
        int count = r->chosen[e];
        if (!is_held(c, e) && r->counts[e] == 0) count = 0;
        bool probs = c->tokens || !c->address[MOE_ARG_mean_probs] || r->mean_probs[e] == 0;
        if (r->counts[e] == count && probs) continue;
        if (!probs)
            snprintf(text, sizeof text, "mean_probs[%lld] is not 0 without tokens", (long long)e);
        else
            snprintf(text, sizeof text, "counts[%lld] is %d, should be %d", (long long)e,
                     r->counts[e], count);
        return fail(out, text);
    }
    return true;
}

/* The losses that follow from what was chosen, where the reference knows all tokens. */
static moe_status judge_losses(const moe_layer_case *c, const results *r, moe_layer_verdict *out) {
    static const double tolerance = 1e-4;
    double want[MOE_LOSS_COUNT] = {0}, *weights;
    char text[128];
    size_t slots = (size_t)(c->tokens * c->layer.k);
    if (!c->address[MOE_ARG_losses] || c->spots != c->tokens) return MOE_OK;
    weights = malloc((slots + 1) * sizeof *weights);
    if (!weights) return moe_fail(MOE_E_MEMORY, "no memory for a layer's losses");
    for (size_t s = 0; s < slots; s++) weights[s] = (double)r->weights[s];
    moe_status status = moe_ref_losses(&c->layer, c->tokens, c->logits, r->ids, weights, want);
    for (int i = 0; i < MOE_LOSS_COUNT && !status && out->ok; i++) {
        if (fabs((double)r->losses[i] - want[i]) <= tolerance * (1 + fabs(want[i]))) continue;
        snprintf(text, sizeof text, "losses[%d] is %.9g, should be %.9g", i, (double)r->losses[i],
                 want[i]);
        fail(out, text);
    }
    free(weights);
    return status;
}

/* It follows from all choices, those of experts that are held elsewhere, too. */
static bool next_bias_is_right(const moe_layer_case *c, const results *r, moe_layer_verdict *out) {
    float want[MOE_MAX_EXPERTS];
    char text[128];
    if (!c->address[MOE_ARG_next_bias] || !c->tokens) return true;
    moe_ref_next_bias(&c->layer, c->tokens, r->chosen, layer_bias_rate, c->work.router_bias, want);
    for (int64_t e = 0; e < c->layer.e; e++) {
        if (r->next_bias[e] == want[e]) continue;
        snprintf(text, sizeof text, "next_router_bias[%lld] is %.9g, should be %.9g", (long long)e,
                 (double)r->next_bias[e], (double)want[e]);
        return fail(out, text);
    }
    return true;
}

/* The router's choice and weights, at the chosen tokens. */
static moe_status judge_routing(const moe_layer_case *c, const results *r,
                                moe_layer_verdict *out) {
    const moe_op op = moe_op_make(MOE_OP_route, &c->layer, c->tokens, 0, 0);
    int64_t k = c->layer.k;
    bool all = c->spots == c->tokens, ours = moe_layer_held(&c->layer) == c->layer.e;
    if (c->entry == MOE_ENTRY_GIVEN || !c->spots) return MOE_OK;
    int *ids = malloc((size_t)(c->spots * k) * sizeof *ids);
    float *weights = malloc((size_t)(c->spots * k) * sizeof *weights);
    int *token_ids = malloc((size_t)c->spots * sizeof *token_ids);
    moe_host_layer in = moe_workload_host(&c->work);
    moe_verdict verdict = {0};
    moe_status status = MOE_OK;
    if (!ids || !weights || !token_ids) {
        status = moe_fail(MOE_E_MEMORY, "no memory for a layer's reference");
        goto out;
    }
    in.numbers = c->chosen;
    in.token_ids = token_ids;
    for (int64_t i = 0; i < c->spots; i++) {
        token_ids[i] = c->work.token_ids ? c->work.token_ids[c->chosen[i]] : 0;
        memcpy(ids + i * k, r->ids + c->chosen[i] * k, (size_t)k * sizeof *ids);
        memcpy(weights + i * k, r->weights + c->chosen[i] * k, (size_t)k * sizeof *weights);
    }
    if (!moe_check_all_ids(&c->layer, c->tokens, r->ids, &verdict)) {
        fail(out, verdict.text);
        goto out;
    }
    const moe_route_result got = {
        .ids = ids, .weights = weights, .counts = all && ours ? r->counts : NULL,
        .mean_probs = all && c->address[MOE_ARG_mean_probs] ? r->mean_probs : NULL};
    double slack = c->entry == MOE_ENTRY_LOGITS ? 0 : moe_logit_tolerance(&c->layer);
    status = moe_check_route(&c->layer, c->spots, c->logits, &in, slack, moe_op_tolerance(&op),
                             &got, &verdict);
    if (!status && !verdict.ok) fail(out, verdict.text);
out:
    free(ids);
    free(weights);
    free(token_ids);
    return status;
}

static bool drops_are_right(const moe_layer_case *c, const results *r, moe_layer_verdict *out) {
    char text[128];
    if (!c->address[MOE_ARG_slot_rows]) return true;
    for (int64_t s = 0; s < c->tokens * c->layer.k; s++) {
        if ((r->slot_rows[s] >= 0) == r->kept[s]) continue;
        snprintf(text, sizeof text, "slot_rows[%lld,%lld] is %d, and the capacity %s the slot",
                 (long long)(s / c->layer.k), (long long)(s % c->layer.k), r->slot_rows[s],
                 r->kept[s] ? "keeps" : "drops");
        return fail(out, text);
    }
    return true;
}

static moe_status make_room(const moe_layer_case *c, results *r) {
    size_t slots = (size_t)(c->tokens * c->layer.k + 1);
    size_t cells = (size_t)(c->spots * c->layer.d + 1);
    r->kept = malloc(slots);
    r->local = malloc(slots * sizeof *r->local);
    r->exact_weights = calloc(slots, sizeof(double));
    r->own_weights = malloc(slots * sizeof(double));
    r->got = malloc(cells * sizeof(double));
    r->want = malloc(cells * sizeof(double));
    r->rounded = malloc(cells * sizeof(double));
    bool all = r->kept && r->local && r->exact_weights && r->own_weights && r->got && r->want &&
               r->rounded;
    return all ? MOE_OK : moe_fail(MOE_E_MEMORY, "no memory for a layer's reference");
}

/* Which slots the device has rows for, by the ids. */
static void keep_slots(const moe_layer_case *c, results *r) {
    moe_ref_local_ids(&c->layer, c->first_expert, c->tokens * c->layer.k, r->ids, r->local);
    moe_ref_capacity(&c->layer, c->tokens, r->local, r->weights, r->kept);
}

/* The weights that the rule gives to the ids that were chosen. Those of sparsemixer jump where the
 * last bit of a logit decides who is near: there the kernel's own, which judge_routing passed. */
static void make_weights(const moe_layer_case *c, results *r) {
    int64_t k = c->layer.k;
    bool own = c->entry == MOE_ENTRY_GIVEN || moe_weigh_table[c->layer.router.weigh].jumps;
    for (int64_t s = 0; s < c->tokens * k; s++) r->own_weights[s] = (double)r->weights[s];
    for (int64_t i = 0; i < c->spots; i++) {
        int64_t first = c->chosen[i] * k;
        if (own)
            for (int64_t s = first; s < first + k; s++) r->exact_weights[s] = r->own_weights[s];
        else
            moe_ref_weights(&c->layer, 1, c->logits + i * moe_layer_logits(&c->layer),
                            r->ids + first, r->exact_weights + first);
    }
}

/* The experts' x. */
static moe_status jitter(const moe_layer_case *c, const moe_host_layer *in, results *r) {
    size_t row = (size_t)c->layer.d;
    float *room = malloc(row * sizeof *room);
    r->x = malloc((size_t)c->tokens * row * moe_dtype_size(c->layer.x) + 1);
    if (room && r->x) moe_ref_jittered(&c->layer, c->tokens, in, r->x, room);
    free(room);
    return room && r->x ? MOE_OK : moe_fail(MOE_E_MEMORY, "no memory for a layer's reference");
}

static moe_status make_references(const moe_layer_case *c, results *r) {
    moe_host_layer in = moe_workload_host(&c->work);
    int64_t d = c->layer.d;
    make_weights(c, r);
    if (c->layer.router.jitter_experts && c->entry != MOE_ENTRY_GIVEN) {
        MOE_TRY(jitter(c, &in, r));
        in.x = r->x;
    }
    for (int64_t i = 0; i < c->spots; i++)
        for (int64_t j = 0; j < d; j++)
            r->got[i * d + j] = moe_load(c->layer.x, r->y, c->chosen[i] * d + j);
    MOE_TRY(moe_ref_layer(&c->layer, c->tokens, &in, r->local, r->exact_weights, r->kept, c->chosen,
                          c->spots, r->want));
    /* A pipeline has its own fp32 weights; only its GEMMs and roundings are the yardstick. */
    return moe_ref_rounded_layer(&c->layer, c->tokens, &in, r->local, r->own_weights, r->kept,
                                 c->chosen, c->spots, r->rounded);
}

static void judge_y(const moe_layer_case *c, const results *r, moe_layer_verdict *out) {
    int64_t n = c->spots * c->layer.d, d = c->layer.d;
    const moe_error_stats stats = moe_compare(r->got, r->want, n);
    out->error = stats.max_over_rms;
    out->tolerance = moe_layer_tolerance(&c->layer, stats.peak);
    out->rel_l2 = stats.rel_l2;
    out->yardstick = moe_compare(r->rounded, r->want, n).rel_l2;
    bool many = n >= ENOUGH_FOR_L2;
    if (out->error > out->tolerance || (many && out->rel_l2 > out->tolerance_l2) ||
        (many && out->rel_l2 > yardstick[c->layer.x] * out->yardstick)) {
        out->ok = false;
        snprintf(out->text, sizeof out->text,
                 "y[%lld,%lld] is %.6g, should be %.6g: error %.3g of the rms (tolerance %.3g); "
                 "l2 %.3g (tolerance %.3g, plain pipeline %.3g)",
                 (long long)c->chosen[stats.worst / d], (long long)(stats.worst % d),
                 r->got[stats.worst], r->want[stats.worst], out->error, out->tolerance,
                 out->rel_l2, out->tolerance_l2, out->yardstick);
    }
}

static moe_status judge(moe_layer_case *c, results *r, moe_layer_verdict *out) {
    MOE_TRY(download_all(c, r));
    MOE_TRY(count_choices(c, r));
    MOE_TRY(judge_routing(c, r, out));
    if (!out->ok || !statistics_are_right(c, r, out) || !next_bias_is_right(c, r, out))
        return MOE_OK;
    MOE_TRY(judge_losses(c, r, out));
    if (!out->ok) return MOE_OK;
    MOE_TRY(make_room(c, r));
    keep_slots(c, r);
    if (!drops_are_right(c, r, out) || !c->spots) return MOE_OK;
    MOE_TRY(make_references(c, r));
    judge_y(c, r, out);
    return MOE_OK;
}

static moe_layer_verdict good_so_far(const moe_layer_case *c) {
    return (moe_layer_verdict){.ok = true, .tolerance = moe_layer_tolerance(&c->layer, 0),
                               .tolerance_l2 = moe_layer_tolerance_l2(&c->layer)};
}

static moe_status judge_y_alone(moe_layer_case *c, results *r, moe_layer_verdict *out) {
    MOE_TRY(download_all(c, r));
    MOE_TRY(make_room(c, r));
    keep_slots(c, r);
    MOE_TRY(make_references(c, r));
    judge_y(c, r, out);
    return MOE_OK;
}

moe_status moe_layer_case_judge_y(moe_layer_case *c, moe_layer_verdict *out) {
    results r = {0};
    *out = good_so_far(c);
    moe_status status = judge_y_alone(c, &r, out);
    results_free(&r);
    return status;
}

moe_status moe_layer_case_verify(moe_layer_case *c, const moe_plan *plan, moe_layer_verdict *out,
                                 double *ns) {
    results r = {0};
    *out = good_so_far(c);
    moe_status status = run(c, plan, ns);
    if (!status) status = judge(c, &r, out);
    results_free(&r);
    return status;
}
