/* resolve.c - which tuned kernels serve a layer, for every token bucket.
 *
 * Every token count at which some step of the layer, or the whole layer, was tuned makes a bucket.
 * In each bucket a pipeline that was timed as a whole comes first, where it fits as well as the
 * best row of every step on its own; else the best rows serve. */
#include "run/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LACKS_SIZE = 1024 }; /* what is missing, and why what there is was refused */

/* All that the database knows about the layer. */
typedef struct findings {
    moe_rows rows[MOE_OP_COUNT];
    moe_pipelines pipelines;
} findings;

static void findings_free(findings *found) {
    for (int kind = 0; kind < MOE_OP_COUNT; kind++) moe_rows_free(&found->rows[kind]);
    moe_pipelines_free(&found->pipelines);
}

static moe_status search(moe_db *db, const moe_ask *ask, findings *found) {
    for (int kind = 0; kind < MOE_OP_COUNT; kind++)
        MOE_TRY(moe_db_rows(db, (moe_op_kind)kind, &ask->layer, &ask->want, &found->rows[kind]));
    return moe_db_pipelines(db, &ask->layer, &ask->want, &found->pipelines);
}

/* The next command for someone whose database lacks something, behind what it lacks. */
static moe_status advise(const moe_ask *ask) {
    char layer[MOE_LAYER_TEXT_SIZE], lacks[LACKS_SIZE];
    snprintf(lacks, sizeof lacks, "%s", moe_error_text());
    MOE_TRY(moe_layer_print(&ask->layer, layer, sizeof layer));
    return moe_fail(MOE_E_NOT_FOUND, "%s; tune it: moetune tune --device %s --layer '%s'", lacks,
                    ask->device, layer);
}

static moe_status fail_missing(const moe_ask *ask, moe_op_kind kind) {
    moe_fail(MOE_E_NOT_FOUND, "no tuned kernel of %s for this layer runs on %s",
             moe_op_names[kind], ask->device);
    return advise(ask);
}

static moe_status fail_refused(const moe_ask *ask, const moe_bucket *bucket) {
    char reason[MOE_FIT_TEXT_SIZE];
    const moe_plan_step *worst = bucket->step;
    for (int i = 1; i < bucket->form->steps; i++)
        if (bucket->step[i].match > worst->match) worst = &bucket->step[i];
    moe_fit_reason(&worst->origin, &ask->want, bucket->tokens, reason, sizeof reason);
    moe_fail(MOE_E_NOT_FOUND, "%s at t=%lld is only %s (%s), and options.worst is %s",
             moe_op_names[worst->row.kind], (long long)bucket->tokens,
             moe_match_text(worst->match), reason, moe_match_text(ask->worst));
    return advise(ask);
}

static int compare_tokens(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Every token count that something was tuned at, ascending; *list is owned by the caller. */
static moe_status list_tokens(const findings *found, int64_t **list, int *count) {
    int64_t total = found->pipelines.count, used = 0;
    for (int kind = 0; kind < MOE_OP_COUNT; kind++) total += found->rows[kind].count;
    int64_t *tokens = malloc((size_t)(total + 1) * sizeof *tokens);
    if (!tokens) return moe_fail(MOE_E_MEMORY, "no memory for %lld buckets", (long long)total);
    for (int kind = 0; kind < MOE_OP_COUNT; kind++)
        for (int64_t i = 0; i < found->rows[kind].count; i++)
            tokens[used++] = found->rows[kind].row[i].origin.tokens;
    for (int64_t i = 0; i < found->pipelines.count; i++)
        tokens[used++] = found->pipelines.pipeline[i].origin.tokens;
    qsort(tokens, (size_t)used, sizeof *tokens, compare_tokens);
    int distinct = 0;
    for (int64_t i = 0; i < used; i++)
        if (tokens[i] > 0 && (!distinct || tokens[i] != tokens[distinct - 1]))
            tokens[distinct++] = tokens[i];
    *list = tokens;
    *count = distinct;
    return MOE_OK;
}

/* The best row of every step; false where a step has none. *fit gets the worst of theirs, *med the
 * sum of their times. */
static bool fill_form(const findings *found, const moe_want *want, const moe_pipeline_info *form,
                      moe_bucket *bucket, moe_fit *fit, double *med) {
    *fit = (moe_fit){MOE_MATCH_EXACT, 0};
    *med = 0;
    bucket->form = form;
    for (int i = 0; i < form->steps; i++) {
        moe_fit its;
        const moe_rows *rows = &found->rows[form->step[i].op];
        const moe_row *row = moe_rows_best(rows, want, bucket->tokens, &its);
        if (!row) return false;
        bucket->step[i] =
            (moe_plan_step){.row = *row, .origin = row->origin, .match = its.match};
        *med += row->origin.measurement.med;
        if (moe_fit_better(*fit, 0, its, 0)) *fit = its;
    }
    return true;
}

/* The form whose rows fit best; of forms that fit alike, the one whose rows took less time. */
static bool fill_from_rows(const findings *found, const moe_ask *ask, moe_bucket *bucket,
                           moe_fit *fit) {
    bool any = false;
    double least = 0;
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++) {
        moe_bucket tried = {.tokens = bucket->tokens};
        moe_fit its;
        double med;
        const moe_pipeline_info *form = &moe_pipeline_table[i];
        if (!moe_pipeline_suits(form, &ask->layer) ||
            !fill_form(found, &ask->want, form, &tried, &its, &med))
            continue;
        bool worse = any && moe_fit_better(*fit, 0, its, 0);
        bool better = !any || moe_fit_better(its, 0, *fit, 0);
        if (worse || (!better && med >= least)) continue;
        *bucket = tried;
        *fit = its;
        least = med;
        any = true;
    }
    return any;
}

static void fill_from_pipeline(const moe_pipeline *pipeline, moe_fit fit, moe_bucket *bucket) {
    bucket->form = pipeline->form;
    for (int i = 0; i < pipeline->form->steps; i++) {
        const moe_row *row = &pipeline->row[i];
        moe_plan_step *step = &bucket->step[i];
        *step = (moe_plan_step){.row = *row, .origin = pipeline->origin, .match = fit.match};
        step->origin.whole = true;
        strcpy(step->origin.code_arch, row->origin.code_arch);
        step->origin.has_cubin = row->origin.has_cubin;
        step->origin.has_ptx = row->origin.has_ptx;
    }
}

static bool fill(const findings *found, const moe_ask *ask, moe_bucket *bucket) {
    moe_fit whole, fit = {MOE_MATCH_DEFAULT, 0};
    bool complete = fill_from_rows(found, ask, bucket, &fit);
    const moe_pipeline *pipeline =
        moe_pipelines_best(&found->pipelines, &ask->want, bucket->tokens, &whole);
    if (pipeline && !(complete && moe_fit_better(fit, 0, whole, 0))) {
        fill_from_pipeline(pipeline, whole, bucket);
        fit = whole;
        complete = true;
    }
    bucket->match = fit.match;
    return complete;
}

/* Without a bucket: the first step that lacks a row is to blame. */
static moe_status blame(const moe_ask *ask, const findings *found) {
    const moe_pipeline_info *plain = moe_pipeline_plain(&ask->layer);
    for (int i = 0; i < plain->steps; i++)
        if (!found->rows[plain->step[i].op].count) return fail_missing(ask, plain->step[i].op);
    return fail_missing(ask, plain->step[0].op);
}

/* The most slots that all kernels of a bucket serve; 0: any number. */
static int64_t limit_of(const moe_bucket *bucket) {
    int64_t least = 0;
    for (int i = 0; i < bucket->form->steps; i++) {
        int64_t limit = bucket->step[i].row.max_slots;
        if (limit && (!least || limit < least)) least = limit;
    }
    return least;
}

/* Where the kernels of the last bucket serve few slots only, what serves more gets a bucket behind
 * it: there may be kernels of another form that were tuned at no more tokens. */
static void extend(const moe_ask *ask, const findings *found, moe_buckets *out) {
    int64_t limit = limit_of(&out->bucket[out->count - 1]);
    moe_bucket more = {.tokens = limit / ask->layer.k + 1};
    if (limit && fill(found, ask, &more) && more.match <= ask->worst)
        out->bucket[out->count++] = more;
}

/* Fills a bucket for each token count and keeps those that fit well enough. */
static moe_status fill_all(const moe_ask *ask, const findings *found, const int64_t *tokens,
                           int count, moe_buckets *out) {
    moe_bucket *refused = NULL;
    out->bucket = calloc((size_t)count + 1, sizeof *out->bucket);
    if (!out->bucket) return moe_fail(MOE_E_MEMORY, "no memory for %d buckets", count);
    for (int i = 0; i < count; i++) {
        moe_bucket *bucket = &out->bucket[out->count], tried = {.tokens = tokens[i]};
        if (!fill(found, ask, &tried)) continue; /* all that there is serves fewer tokens */
        *bucket = tried;
        if (bucket->match <= ask->worst)
            out->count++;
        else
            refused = bucket; /* overwritten by the next bucket, read only if all are refused */
    }
    if (out->count) extend(ask, found, out);
    if (out->count) return MOE_OK;
    return refused ? fail_refused(ask, refused) : blame(ask, found);
}

/* Where the bucket before the last reaches the token limit, no run comes to the last. */
static void drop_unreachable(const moe_ask *ask, moe_buckets *out) {
    while (ask->max_tokens && out->count > 1 &&
           out->bucket[out->count - 2].tokens >= ask->max_tokens)
        out->count--;
}

moe_status moe_resolve(moe_db *db, const moe_ask *ask, moe_buckets *out) {
    findings found = {0};
    moe_buckets buckets = {0};
    int64_t *tokens = NULL;
    int count = 0;
    moe_status status = search(db, ask, &found);
    if (!status) status = list_tokens(&found, &tokens, &count);
    if (!status) status = fill_all(ask, &found, tokens, count, &buckets);
    if (!status) drop_unreachable(ask, &buckets);
    free(tokens);
    findings_free(&found);
    if (status)
        free(buckets.bucket);
    else
        *out = buckets;
    return status;
}
