/* tune_report.c - what a tune has to say at its end. */
#include "report/tune_report.h"

#include "core/capacity.h"
#include "judge/op_work.h"
#include "report/waste.h"
#include "search/candidates.h"
#include "text/columns.h"

#include <jansson.h>
#include <string.h>

static double share_of_roofline(const moe_tuner *tuner, const moe_op *op, double ns) {
    double least = moe_roofline_ns(moe_op_work(op), tuner->facts, op->layer.x);
    return ns > 0 ? least / ns : 0;
}

/* "12 ok, 1 wrong", or "-". */
static void print_outcomes(const moe_op_result *r, bool failures, char *text, size_t size) {
    moe_text out = moe_text_start(text, size);
    for (int o = failures ? 1 : 0; o < MOE_OUTCOME_COUNT; o++)
        if (r->outcome[o])
            moe_text_add(&out, "%s%lld %s", out.used ? ", " : "", (long long)r->outcome[o],
                         moe_outcome_names[o]);
    if (!out.used) moe_text_add(&out, "-");
}

/* What tells a layer's rows apart: capacity and routing. */
static void print_variant(const moe_op *op, char *text, size_t size) {
    moe_text out = moe_text_start(text, size);
    moe_field_capacity.print(NULL, &op->layer.capacity, &out);
    if (op->routing != MOE_ROUTING_UNIFORM)
        moe_text_add(&out, " %s", moe_routing_names[op->routing]);
}

static void add_op(const moe_tuner *tuner, const moe_op_result *r, moe_columns *table) {
    char config[MOE_CONFIG_TEXT_SIZE], failed[160], variant[64], versus[32] = "-";
    print_outcomes(r, true, failed, sizeof failed);
    print_variant(&r->op, variant, sizeof variant);
    if (!r->finalists) {
        moe_columns_add(table, "%s\t%lld\t%s\tnone is good\t\t-\t-\t-\t-\t%lld\t%s",
                      moe_op_names[r->op.kind], (long long)r->op.t, variant,
                      (long long)(r->resumed + r->measured), failed);
        return;
    }
    const moe_record *best = &r->finalist[0].record;
    const moe_measurement *standard = &r->standard.record.measurement;
    moe_config_print(&best->config, config, sizeof config);
    if (standard->outcome == MOE_OUTCOME_OK)
        snprintf(versus, sizeof versus, "%.2fx", standard->med / best->measurement.med);
    moe_columns_add(table, "%s\t%lld\t%s\t%s\t%s\t%.2f\t%s\t%.0f%%\t%.1e\t%lld\t%s",
                  moe_op_names[r->op.kind], (long long)r->op.t, variant, best->template_id, config,
                  best->measurement.med * 1e-3, versus,
                  100 * share_of_roofline(tuner, &r->op, best->measurement.med),
                  best->measurement.err, (long long)(r->resumed + r->measured), failed);
}

/* Drops, and the padding of the up GEMM's tiles, of random tokens. */
static moe_waste waste_of(const moe_tuner *tuner, const moe_layer_result *r) {
    moe_waste waste = {0};
    int64_t tile = 1;
    for (int64_t i = 0; i < r->choice.steps; i++)
        if (r->choice.step[i].kind == MOE_OP_gemm_up)
            tile = moe_config_get(&r->choice.step[i].config, "bm", 1);
    const moe_traffic traffic = {.routing = r->routing, .exponent = 1};
    if (moe_waste_of(&r->layer, r->t, &traffic, tile > 0 ? tile : 1, tuner->seed, &waste))
        return (moe_waste){0};
    return waste;
}

static void add_layer(const moe_tuner *tuner, const moe_layer_result *r, moe_columns *table) {
    char capacity[32], versus[32] = "-";
    moe_text text = moe_text_start(capacity, sizeof capacity);
    moe_field_capacity.print(NULL, &r->layer.capacity, &text);
    if (!r->there) {
        moe_columns_add(table, "%lld\t%s\t%s\tnone\t-\t-\t-\t-\t-\t%s", (long long)r->t, capacity,
                      moe_routing_names[r->routing], r->note);
        return;
    }
    const moe_measurement *m = &r->choice.measurement;
    double least = moe_roofline_ns(moe_layer_work(&r->layer, r->t, r->routing), tuner->facts,
                                   r->layer.x);
    if (r->standard_ns > 0) snprintf(versus, sizeof versus, "%.2fx", r->standard_ns / m->med);
    const moe_waste waste = waste_of(tuner, r);
    moe_columns_add(table, "%lld\t%s\t%s\t%.2f\t%s\t%.0f%%\t%.1f%%\t%.1f%%\t%.1e\t%s",
                  (long long)r->t, capacity, moe_routing_names[r->routing], m->med * 1e-3, versus,
                  100 * least / m->med, 100 * waste.dropped, 100 * waste.padding, m->err,
                  r->resumed ? "was there" : r->note);
}

static const char *time_head(const moe_tuner *tuner) {
    return tuner->facts->simulated ? "us (model)" : "us";
}

static void print_ops(const moe_tuner *tuner, const moe_session *session) {
    char head[256];
    snprintf(head, sizeof head, "op\t>t\tcapacity\ttemplate\tconfig\t>%s\t>vs default\t>roofline"
             "\t>err\t>tried\tfailed", time_head(tuner));
    moe_columns *ops = moe_columns_new(head);
    for (int64_t i = 0; i < session->ops; i++)
        if (session->op[i].resumed + session->op[i].measured || *session->op[i].note)
            add_op(tuner, &session->op[i], ops);
    moe_columns_print(ops, stdout);
}

static void add_ranking(const moe_op *op, const char *template, int64_t space,
                        const moe_ranking *r, moe_columns *table) {
    if (r->count)
        moe_columns_add(table, "%s\t%lld\t%s\t%lld\t%lld\t%.2f\t%lld\t%.1f%%",
                        moe_op_names[op->kind], (long long)op->t, template, (long long)space,
                        (long long)r->count, r->correlation, (long long)r->best,
                        100 * (r->regret - 1));
}

/* How far the templates' predictions can be trusted to say what is worth trying. */
static void print_rankings(const moe_session *session) {
    char head[128];
    snprintf(head, sizeof head, "op\t>t\ttemplate\t>space\t>timed\t>rank corr\t>best's place"
             "\t>first %d lose", MOE_RANKING_FIRST);
    moe_columns *table = moe_columns_new(head);
    for (int64_t i = 0; i < session->ops; i++) {
        const moe_op_result *r = &session->op[i];
        for (int t = 0; t < r->templates; t++)
            add_ranking(&r->op, r->by_template[t].id, r->by_template[t].space,
                        &r->by_template[t].ranking, table);
        if (r->templates > 1) add_ranking(&r->op, "all", r->space, &r->ranking, table);
    }
    printf("\npredictions, by what came out\n");
    moe_columns_print(table, stdout);
}

static void print_layers(const moe_tuner *tuner, const moe_session *session) {
    char head[256];
    if (!session->layers) return;
    snprintf(head, sizeof head, ">t\tcapacity\trouting\t>%s\t>vs default\t>roofline\t>dropped"
             "\t>padding\t>err\tnote",
             time_head(tuner));
    moe_columns *layers = moe_columns_new(head);
    for (int64_t i = 0; i < session->layers; i++) add_layer(tuner, &session->layer[i], layers);
    printf("\nwhole layer\n");
    moe_columns_print(layers, stdout);
}

/* ------------------------------------------------------------------------------------- JSON */

static json_t *json_measurement(const moe_measurement *m) {
    return json_pack("{s:s, s:I, s:f, s:f, s:f, s:s}", "outcome", moe_outcome_names[m->outcome],
                     "n", (json_int_t)m->n, "med_ns", m->med, "mad_ns", m->mad, "err", m->err,
                     "timer", moe_timer_names[m->timer]);
}

static json_t *json_ranking(const moe_ranking *r) {
    return json_pack("{s:I, s:f, s:I, s:f}", "ranked", (json_int_t)r->count, "correlation",
                     r->correlation, "best_rank", (json_int_t)r->best, "regret", r->regret);
}

static json_t *json_templates(const moe_op_result *r) {
    json_t *list = json_array();
    for (int i = 0; i < r->templates; i++) {
        const moe_template_ranking *t = &r->by_template[i];
        json_array_append_new(list, json_pack("{s:s, s:I, s:o}", "template", t->id, "space",
                                              (json_int_t)t->space, "prediction",
                                              json_ranking(&t->ranking)));
    }
    return list;
}

static json_t *json_op(const moe_tuner *tuner, const moe_op_result *r) {
    char op[MOE_OP_TEXT_SIZE], config[MOE_CONFIG_TEXT_SIZE];
    moe_op_print(&r->op, op, sizeof op);
    json_t *outcomes = json_object();
    for (int o = 0; o < MOE_OUTCOME_COUNT; o++)
        json_object_set_new(outcomes, moe_outcome_names[o], json_integer(r->outcome[o]));
    json_t *row = json_pack("{s:s, s:I, s:I, s:I, s:o}", "op", op, "space", (json_int_t)r->space,
                            "measured", (json_int_t)r->measured, "resumed", (json_int_t)r->resumed,
                            "outcomes", outcomes);
    if (!r->finalists) return row;
    const moe_record *best = &r->finalist[0].record;
    moe_config_print(&best->config, config, sizeof config);
    json_object_set_new(row, "template", json_string(best->template_id));
    json_object_set_new(row, "config", json_string(config));
    json_object_set_new(row, "measurement", json_measurement(&best->measurement));
    json_object_set_new(row, "prediction", json_ranking(&r->ranking));
    json_object_set_new(row, "templates", json_templates(r));
    json_object_set_new(row, "roofline",
                        json_real(share_of_roofline(tuner, &r->op, best->measurement.med)));
    if (r->standard.record.measurement.outcome == MOE_OUTCOME_OK)
        json_object_set_new(row, "default_ns", json_real(r->standard.record.measurement.med));
    return row;
}

static json_t *json_layer(const moe_tuner *tuner, const moe_layer_result *r) {
    char layer[MOE_LAYER_TEXT_SIZE];
    if (moe_layer_print(&r->layer, layer, sizeof layer)) layer[0] = '\0';
    json_t *row = json_pack("{s:s, s:I, s:s, s:b, s:b, s:s}", "layer", layer, "t",
                            (json_int_t)r->t, "routing", moe_routing_names[r->routing], "there",
                            r->there, "resumed", r->resumed, "note", r->note);
    if (!r->there) return row;
    const moe_waste waste = waste_of(tuner, r);
    json_object_set_new(row, "measurement", json_measurement(&r->choice.measurement));
    json_object_set_new(row, "dropped", json_real(waste.dropped));
    json_object_set_new(row, "padding", json_real(waste.padding));
    return row;
}

static void print_json(const moe_tuner *tuner, const moe_session *session) {
    json_t *ops = json_array(), *layers = json_array();
    for (int64_t i = 0; i < session->ops; i++)
        json_array_append_new(ops, json_op(tuner, &session->op[i]));
    for (int64_t i = 0; i < session->layers; i++)
        json_array_append_new(layers, json_layer(tuner, &session->layer[i]));
    json_t *all = json_pack("{s:s, s:s, s:o, s:o}", "device", tuner->device->text, "db",
                            moe_storage_path(tuner->store), "ops", ops, "layers", layers);
    json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(all);
}

/* ---------------------------------------------------------------------------------- the end */

static void print_next(const moe_tuner *tuner, const moe_session *session, const char *device) {
    char layer[MOE_LAYER_TEXT_SIZE];
    int64_t resumed = 0, measured = 0;
    for (int64_t i = 0; i < session->ops; i++) {
        resumed += session->op[i].resumed;
        measured += session->op[i].measured;
    }
    printf("\n%lld candidates measured, %lld were there already; database %s\n",
           (long long)measured, (long long)resumed, moe_storage_path(tuner->store));
    if (!session->layers || moe_layer_print(&session->layer[0].layer, layer, sizeof layer)) return;
    printf("next: moetune check --device %s --db %s --layer '%s'\n"
           "      moetune bench --device %s --db %s --layer '%s'\n",
           device, moe_storage_path(tuner->store), layer, device, moe_storage_path(tuner->store),
           layer);
}

moe_tune_verdict moe_tune_report(const moe_tuner *tuner, const moe_session *session,
                                 const char *device, bool json) {
    bool wrong = false, missing = session->stopped;
    for (int64_t i = 0; i < session->layers; i++) {
        wrong |= session->layer[i].wrong;
        missing |= !session->layer[i].there;
    }
    if (json) {
        print_json(tuner, session);
    } else {
        print_ops(tuner, session);
        print_rankings(session);
        print_layers(tuner, session);
        print_next(tuner, session, device);
    }
    if (session->stopped)
        fprintf(stderr, "moetune: stopped before the end; the same command goes on from here\n");
    for (int64_t i = 0; i < session->layers; i++)
        if (session->layer[i].wrong) fprintf(stderr, "moetune: %s\n", session->layer[i].note);
    return wrong ? MOE_TUNE_WRONG : missing ? MOE_TUNE_MISSING : MOE_TUNE_GOOD;
}

/* ------------------------------------------------------------------------------- the plan */

static moe_status add_plan(const moe_tuner *tuner, const moe_op *op, const moe_op_plan *plan,
                           moe_columns *table) {
    moe_candidates all;
    char variant[64];
    MOE_TRY(moe_candidates_init(&all, tuner->gen, op, tuner->facts, tuner->only));
    int64_t tried = plan->limit < all.count ? plan->limit : all.count;
    print_variant(op, variant, sizeof variant);
    moe_columns_add(table, "%s\t%lld\t%s\t%lld\t%lld\t%.1f\t%.1f\t%.1f\t%.1f",
                    moe_op_names[op->kind], (long long)op->t, variant, (long long)all.count,
                    (long long)tried, plan->setup, (double)tried * plan->compile,
                    (double)tried * plan->measure, plan->races);
    if (*all.skipped)
        fprintf(stderr, "moetune: a template of %s is left out: %s\n", moe_op_names[op->kind],
                all.skipped);
    moe_candidates_free(&all);
    return MOE_OK;
}

moe_status moe_tune_plan_report(const moe_tuner *tuner, const moe_goal *goal,
                                const moe_session *session, const moe_op_plan *plan) {
    moe_columns *table = moe_columns_new("op\t>t\tcapacity\t>space\t>tried\t>inputs s\t>compile s"
                                         "\t>measure s\t>races s");
    moe_status status = MOE_OK;
    double ops = 0, layers = 0;
    for (int64_t i = 0; i < session->ops && !status; i++) {
        status = add_plan(tuner, &session->op[i].op, &plan[i], table);
        ops += moe_op_plan_seconds(&plan[i]);
    }
    for (int64_t i = 0; i < session->layers; i++)
        layers += moe_layer_plan_seconds(tuner, &session->layer[i]);
    moe_columns_print(table, stdout);
    if (!status)
        printf("\nabout %.0f s for ops and %.0f s for whole layers, with %d compilers; budget "
               "%.0f s\n", ops, layers, tuner->workers, goal->budget);
    return status;
}
