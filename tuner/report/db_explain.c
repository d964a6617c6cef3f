/* db_explain.c - which rows of a database a plan takes, and why not the others. */
#include "report/db_explain.h"

#include "run/resolve.h"
#include "text/columns.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REASONS = 16, REASON_SIZE = 96 };

/* Rows that were passed over for one reason. */
typedef struct passed {
    char reason[REASON_SIZE];
    int64_t rows;
    double med;     /* of the fastest, ns; 0: none was timed */
    char best[640]; /* the fastest: template and config */
} passed;

/* One step while the rows of its op pass by. */
typedef struct step {
    moe_storage *store;
    const moe_want *want;
    int64_t tokens; /* of the bucket */
    char shape[MOE_OP_TEXT_SIZE];
    moe_op op;
    const moe_plan_step *taken; /* NULL: none serves */
    int64_t device;
    moe_origin origin; /* of the device whose rows pass */
    passed list[MAX_REASONS];
    int count;
} step;

/* ------------------------------------------------------------------------------------ reasons */

static void add(step *s, const moe_record *record, const char *reason) {
    char config[MOE_CONFIG_TEXT_SIZE];
    double med = record->measurement.med;
    int i = 0;
    while (i < s->count && strcmp(s->list[i].reason, reason)) i++;
    if (i == MAX_REASONS) i--; /* the last one holds what there is no room for */
    passed *p = &s->list[i];
    if (i == s->count) {
        s->count++;
        snprintf(p->reason, sizeof p->reason, "%s",
                 s->count == MAX_REASONS ? "other reasons" : reason);
    }
    p->rows++;
    if (!(med > 0) || (p->med > 0 && med >= p->med)) return;
    p->med = med;
    moe_config_print(&record->config, config, sizeof config);
    snprintf(p->best, sizeof p->best, "%s %s", record->template_id, config);
}

/* Against the row that serves: of another place, or slower at the same one. */
static void compare(step *s, const moe_record *record, const moe_origin *origin) {
    char reason[REASON_SIZE];
    const moe_origin *best = &s->taken->row.origin;
    moe_fit fit = moe_fit_of(origin, s->want, s->tokens),
            its = moe_fit_of(best, s->want, s->tokens);
    if (moe_fit_better(its, best->tokens, fit, origin->tokens)) {
        snprintf(reason, sizeof reason, "fits worse: %s, tuned at t=%lld on %.24s",
                 moe_match_text(fit.match), (long long)origin->tokens, origin->name);
        add(s, record, reason);
    } else if (s->taken->origin.whole) {
        add(s, record, "the layer was timed as a whole with the other");
    } else {
        bool slower = origin->measurement.med - best->measurement.med >
                      moe_noise(&origin->measurement, &best->measurement);
        add(s, record, slower ? "slower"
                              : "within the noise; the default wins, then the lower text");
    }
}

static bool is_taken(const step *s, const moe_record *record) {
    char config[MOE_CONFIG_TEXT_SIZE];
    if (!s->taken) return false;
    moe_config_print(&record->config, config, sizeof config);
    return !strcmp(s->taken->row.template_id, record->template_id) &&
           !strcmp(s->taken->row.config, config) &&
           s->taken->row.origin.tokens == record->op.t &&
           !strcmp(s->taken->row.origin.name, s->origin.name);
}

static moe_status judge_code(step *s, const moe_record *record, const char *hash,
                             moe_origin *origin) {
    moe_compiled image = {0};
    bool found = false;
    MOE_TRY(moe_storage_image(s->store, hash, &image, NULL, &found));
    snprintf(origin->code_arch, sizeof origin->code_arch, "%s", image.image.arch);
    origin->has_cubin = image.cubin != NULL;
    origin->has_ptx = image.ptx != NULL;
    const moe_launch *launch = &image.image.launch;
    const char *refusal = moe_fit_refusal(origin, launch, s->want);
    if (!found || refusal)
        add(s, record, found ? refusal : "its code is missing");
    else if (launch->max_slots && s->tokens > launch->max_slots / s->want->k)
        add(s, record, "it serves fewer tokens");
    else if (!s->taken)
        add(s, record, "another step has no row, or no pipeline is whole");
    else
        compare(s, record, origin);
    moe_compiled_free(&image);
    return MOE_OK;
}

static moe_status see_record(void *context, const moe_record *record, const char *image) {
    step *s = context;
    char shape[MOE_OP_TEXT_SIZE];
    moe_origin origin = s->origin;
    if (record->op.kind != s->op.kind) return MOE_OK;
    moe_op_shape(&record->op, shape, sizeof shape);
    if (strcmp(shape, s->shape) || is_taken(s, record)) return MOE_OK;
    if (record->measurement.outcome != MOE_OUTCOME_OK)
        return add(s, record, moe_outcome_names[record->measurement.outcome]), MOE_OK;
    if (!*image) return add(s, record, "no code is kept of it: it was far from the best"), MOE_OK;
    origin.tokens = record->op.t;
    origin.cache = record->op.cache;
    /* A step that does not depend on the routing was tuned for any. */
    origin.routing = s->op.routing == s->want->routing ? record->op.routing : s->want->routing;
    origin.measurement = record->measurement;
    return judge_code(s, record, image, &origin);
}

static moe_status see_device(void *context, int64_t device, const moe_facts *facts) {
    step *s = context;
    s->origin = (moe_origin){.sms = facts->sms, .simulated = facts->simulated};
    snprintf(s->origin.name, sizeof s->origin.name, "%s", facts->name);
    snprintf(s->origin.arch, sizeof s->origin.arch, "%s", facts->arch);
    return moe_storage_records(s->store, device, see_record, s);
}

static moe_status pass_over(moe_storage *store, const moe_ask *ask, moe_op_kind kind,
                            int64_t tokens, const moe_plan_step *taken, step *out) {
    *out = (step){.store = store, .want = &ask->want, .tokens = tokens, .taken = taken};
    out->op = moe_op_make(kind, &ask->layer, tokens, ask->want.routing, ask->want.cache);
    moe_op_shape(&out->op, out->shape, sizeof out->shape);
    return moe_storage_devices(store, see_device, out);
}

/* ------------------------------------------------------------------------------------ telling */

typedef struct report {
    moe_columns *taken, *passed;
    json_t *steps; /* NULL: tables */
} report;

static json_t *passed_json(const step *s) {
    json_t *list = json_array();
    for (int i = 0; i < s->count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:s, s:f}", "reason", s->list[i].reason, "rows",
                            (json_int_t)s->list[i].rows, "fastest", s->list[i].best, "med_ns",
                            s->list[i].med));
    return list;
}

/* `plan_step` NULL: nothing serves. */
static void tell(report *r, const step *s, const moe_plan_step *plan_step, int64_t tokens) {
    char reason[MOE_FIT_TEXT_SIZE] = "no row serves it", kernel[640] = "-";
    const char *match = "-", *op = moe_op_names[s->op.kind];
    if (plan_step) {
        moe_fit_reason(&plan_step->origin, s->want, tokens, reason, sizeof reason);
        match = moe_match_text(moe_fit_of(&plan_step->origin, s->want, tokens).match);
        snprintf(kernel, sizeof kernel, "%s %s", plan_step->row.template_id, plan_step->row.config);
    }
    if (r->steps) {
        json_array_append_new(r->steps,
                              json_pack("{s:s, s:s, s:s, s:s, s:o}", "op", op, "kernel", kernel,
                                        "match", match, "reason", reason, "passed_over",
                                        passed_json(s)));
        return;
    }
    moe_columns_add(r->taken, "%s\t%s\t%s\t%s", op, kernel, match, reason);
    for (int i = 0; i < s->count; i++)
        moe_columns_add(r->passed, "%s\t%lld\t%s\t%.2f\t%s", op, (long long)s->list[i].rows,
                        s->list[i].reason, s->list[i].med * 1e-3, s->list[i].best);
}

static moe_status tell_steps(moe_storage *store, const moe_ask *ask, const moe_bucket *bucket,
                             int64_t tokens, report *r) {
    const moe_pipeline_info *form = bucket ? bucket->form : moe_pipeline_plain(&ask->layer);
    for (int i = 0; i < form->steps; i++) {
        step s;
        const moe_plan_step *taken = bucket ? &bucket->step[i] : NULL;
        MOE_TRY(pass_over(store, ask, form->step[i].op, bucket ? bucket->tokens : tokens, taken,
                          &s));
        tell(r, &s, taken, tokens);
    }
    return MOE_OK;
}

static moe_status explain_tokens(const moe_ask *ask, moe_storage *store, const moe_buckets *buckets,
                                 int64_t tokens, json_t *all, FILE *to) {
    report r = {.steps = all ? json_array() : NULL};
    const moe_bucket *bucket = moe_bucket_for(buckets, ask->layer.k, tokens);
    const char *form = bucket ? bucket->form->name : "none";
    if (!all) {
        fprintf(to, "t=%lld routing=%s on %s: pipeline %s%s\n", (long long)tokens,
                moe_routing_names[ask->want.routing], ask->device, form,
                bucket && bucket->step[0].origin.whole ? ", timed as a whole" : "");
        r.taken = moe_columns_new("op\tkernel\tmatch\treason");
        r.passed = moe_columns_new("passed over\t>rows\twhy\t>us\tfastest of them");
    }
    moe_status status = tell_steps(store, ask, bucket, tokens, &r);
    if (all)
        json_array_append_new(all, json_pack("{s:I, s:s, s:s, s:o}", "tokens", (json_int_t)tokens,
                                             "routing", moe_routing_names[ask->want.routing],
                                             "pipeline", form, "steps", r.steps));
    moe_columns_print(r.taken, to);
    if (!all) fputc('\n', to);
    moe_columns_print(r.passed, to);
    if (!all) fputc('\n', to);
    return status;
}

static moe_status explain_layer(const moe_explain *asked, moe_db *db, moe_storage *store,
                                const moe_layer *layer, moe_routing routing, json_t *all,
                                FILE *to) {
    char why[1024];
    moe_buckets buckets = {0};
    const moe_ask ask = {.device = asked->device, .layer = *layer, .worst = MOE_MATCH_DEFAULT,
                         .want = {asked->facts, routing, asked->goal->cache, layer->k,
                                  asked->any_order}};
    moe_status missing = moe_resolve(db, &ask, &buckets), status = MOE_OK;
    snprintf(why, sizeof why, "%s", missing ? moe_error_text() : "");
    if (missing && missing != MOE_E_NOT_FOUND) status = missing;
    for (int i = 0; i < asked->goal->token_count && !status; i++)
        if (asked->goal->tokens[i])
            status = explain_tokens(&ask, store, &buckets, asked->goal->tokens[i], all, to);
    free(buckets.bucket);
    return !status && missing ? moe_fail(missing, "%s", why) : status;
}

static moe_status explain_all(const moe_explain *asked, moe_db *db, moe_storage *store,
                              json_t *all, FILE *to) {
    for (int l = 0; l < asked->goal->layers; l++)
        for (int r = 0; r < asked->goal->routings; r++)
            MOE_TRY(explain_layer(asked, db, store, &asked->goal->layer[l],
                                  asked->goal->routing[r], all, to));
    return MOE_OK;
}

moe_status moe_db_explain(const moe_explain *asked, FILE *to) {
    moe_db *db = NULL;
    moe_storage *store = NULL;
    json_t *all = asked->json ? json_array() : NULL;
    moe_status status = moe_db_open(asked->path, &db);
    if (!status) status = moe_storage_open_existing(asked->path, &store);
    if (!status) status = explain_all(asked, db, store, all, to);
    if (all && json_array_size(all)) {
        json_dumpf(all, to, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
        fputc('\n', to);
    }
    json_decref(all);
    moe_storage_close(store);
    moe_db_close(db);
    return status;
}
