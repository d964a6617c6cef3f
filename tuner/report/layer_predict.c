/* layer_predict.c - what the templates' own cost functions say a layer takes. */
#include "report/layer_predict.h"

#include "core/pipeline.h"
#include "measure/roofline.h"
#include "search/candidates.h"
#include "text/columns.h"

#include <jansson.h>

/* One op of a form by its default config. */
typedef struct prediction {
    moe_op_kind kind;
    char template_id[MOE_TEMPLATE_ID_SIZE];
    moe_config config;
    int64_t launches;
    double ns;
} prediction;

/* A layer in one form. */
typedef struct form_prediction {
    const moe_pipeline_info *form;
    prediction step[MOE_PIPELINE_STEPS]; /* in the order of the form's ops */
    int64_t launches;
    double ns; /* the sum of its steps' */
} form_prediction;

/* A layer at a token count, its tokens spread over the experts as the class of routing says. */
typedef struct demand {
    const moe_layer *layer;
    int64_t tokens;
    moe_routing routing;
    moe_cache cache;
} demand;

static moe_status predict_op(const moe_gen *gen, const moe_facts *facts, const moe_op *op,
                             prediction *out) {
    moe_candidate candidate;
    moe_source source;
    MOE_TRY(moe_candidate_default(gen, op, facts, &candidate));
    MOE_TRY(moe_render(candidate.t, op, facts, &candidate.config, true, &source));
    *out = (prediction){.kind = op->kind, .config = source.config,
                            .launches = source.launch.kernels, .ns = source.cost.ns};
    snprintf(out->template_id, sizeof out->template_id, "%s", source.template_id);
    moe_source_free(&source);
    return MOE_OK;
}

static moe_status predict_form(const moe_gen *gen, const moe_facts *facts,
                               const demand *work, const moe_pipeline_info *form,
                               form_prediction *out) {
    *out = (form_prediction){.form = form};
    for (int i = 0; i < form->steps; i++) {
        const moe_op op = moe_op_make(form->step[i].op, work->layer, work->tokens, work->routing,
                                      work->cache);
        MOE_TRY(predict_op(gen, facts, &op, &out->step[i]));
        out->launches += out->step[i].launches;
        out->ns += out->step[i].ns;
    }
    return MOE_OK;
}

/* Predicts the forms that templates serve; `out` has room for MOE_PIPELINE_COUNT, *count gets their
 * number, *best that of the least time. */
static moe_status predict(const moe_gen *gen, const moe_facts *facts, const demand *work,
                          form_prediction *out, int *count, int *best) {
    *count = *best = 0;
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++) {
        if (!moe_pipeline_suits(&moe_pipeline_table[i], work->layer)) continue;
        moe_status status = predict_form(gen, facts, work, &moe_pipeline_table[i], &out[*count]);
        if (status && status != MOE_E_NOT_FOUND) return status;
        if (status) continue;
        if (out[*count].ns < out[*best].ns) *best = *count;
        (*count)++;
    }
    /* Once more, for the message that names what the plain form lacks. */
    return *count ? MOE_OK : predict_form(gen, facts, work, moe_pipeline_plain(work->layer), out);
}

/* ------------------------------------------------------------------------------------ printing */

static void add_rows(const demand *work, const form_prediction *p, bool best,
                     double roofline, moe_columns *table) {
    char config[MOE_CONFIG_TEXT_SIZE];
    const char *routing = moe_routing_names[work->routing];
    for (int i = 0; i < p->form->steps; i++) {
        const prediction *step = &p->step[i];
        moe_config_print(&step->config, config, sizeof config);
        moe_columns_add(table, "%lld\t%s\t%s\t%s\t%lld\t%.2f\t\t%s %s", (long long)work->tokens,
                        routing, p->form->name, moe_op_names[step->kind],
                        (long long)step->launches, step->ns * 1e-3, step->template_id, config);
    }
    moe_columns_add(table, "%lld\t%s\t%s\tlayer\t%lld\t%.2f\t%.1f%%\t%s", (long long)work->tokens,
                    routing, p->form->name, (long long)p->launches, p->ns * 1e-3,
                    100 * roofline / p->ns, best ? "<- least" : "");
}

static json_t *json_form(const demand *work, const form_prediction *p, bool best,
                         double roofline) {
    char config[MOE_CONFIG_TEXT_SIZE];
    json_t *steps = json_array();
    for (int i = 0; i < p->form->steps; i++) {
        const prediction *step = &p->step[i];
        moe_config_print(&step->config, config, sizeof config);
        json_array_append_new(steps, json_pack("{s:s, s:s, s:s, s:I, s:f}", "op",
                                               moe_op_names[step->kind], "template",
                                               step->template_id, "config", config, "launches",
                                               (json_int_t)step->launches, "ns", step->ns));
    }
    return json_pack("{s:I, s:s, s:s, s:b, s:I, s:f, s:f, s:o}", "t", (json_int_t)work->tokens,
                     "routing", moe_routing_names[work->routing], "pipeline", p->form->name,
                     "least", best, "launches", (json_int_t)p->launches, "ns", p->ns, "roofline",
                     roofline / p->ns, "ops", steps);
}

/* Where predictions are written to; NULL for the one that is not wanted. */
typedef struct output {
    moe_columns *table;
    json_t *rows;
} output;

static moe_status predict_workload(const moe_gen *gen, const moe_facts *facts,
                                   const demand *work, const output *out) {
    form_prediction forms[MOE_PIPELINE_COUNT];
    int there, best;
    MOE_TRY(predict(gen, facts, work, forms, &there, &best));
    double least = moe_roofline_ns(moe_layer_work(work->layer, work->tokens, work->routing), facts,
                                   work->layer->x);
    for (int i = 0; i < there; i++) {
        if (out->rows)
            json_array_append_new(out->rows, json_form(work, &forms[i], i == best, least));
        else
            add_rows(work, &forms[i], i == best, least, out->table);
    }
    return MOE_OK;
}

static moe_status predict_goal(const moe_gen *gen, const moe_facts *facts, const moe_goal *goal,
                               const output *out) {
    for (int t = 0; t < goal->token_count; t++)
        for (int l = 0; l < goal->layers; l++)
            for (int r = 0; r < goal->routings; r++) {
                const demand work = {&goal->layer[l], goal->tokens[t], goal->routing[r],
                                           goal->cache};
                MOE_TRY(predict_workload(gen, facts, &work, out));
            }
    return MOE_OK;
}

moe_status moe_layer_predict_print(const moe_gen *gen, const moe_facts *facts,
                                   const moe_goal *goal, bool json, FILE *to) {
    const char *head = ">t\trouting\tpipeline\top\t>launches\t>predicted us\t>roofline"
                       "\ttemplate and config";
    const output out = {.table = json ? NULL : moe_columns_new(head),
                        .rows = json ? json_array() : NULL};
    moe_status status = predict_goal(gen, facts, goal, &out);
    moe_columns_print(out.table, to);
    if (json && !status) {
        json_dumpf(out.rows, to, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
        fputc('\n', to);
    }
    json_decref(out.rows);
    return status;
}
