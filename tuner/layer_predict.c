/* layer_predict.c - what the templates' own cost functions say a layer takes. */
#include "layer_predict.h"

#include "candidates.h"
#include "columns.h"
#include "roofline.h"

#include <jansson.h>

static moe_status predict_op(const moe_gen *gen, const moe_facts *facts, const moe_op *op,
                             moe_prediction *out) {
    moe_candidate candidate;
    moe_source source;
    MOE_TRY(moe_candidate_default(gen, op, facts, &candidate));
    MOE_TRY(moe_render(candidate.t, op, facts, &candidate.config, true, &source));
    *out = (moe_prediction){.kind = op->kind, .config = source.config,
                            .launches = source.launch.kernels, .ns = source.cost.ns};
    snprintf(out->template_id, sizeof out->template_id, "%s", source.template_id);
    moe_source_free(&source);
    return MOE_OK;
}

static moe_status predict_form(const moe_gen *gen, const moe_facts *facts, const moe_layer *layer,
                               int64_t tokens, const moe_pipeline_info *form,
                               moe_form_prediction *out) {
    *out = (moe_form_prediction){.form = form};
    for (int i = 0; i < form->steps; i++) {
        const moe_op op = moe_op_make(form->op[i], layer, tokens, MOE_ROUTING_UNIFORM,
                                      MOE_CACHE_COLD);
        MOE_TRY(predict_op(gen, facts, &op, &out->step[i]));
        out->launches += out->step[i].launches;
        out->ns += out->step[i].ns;
    }
    return MOE_OK;
}

moe_status moe_layer_predict(const moe_gen *gen, const moe_facts *facts, const moe_layer *layer,
                             int64_t tokens, moe_form_prediction *out, int *count, int *best) {
    *count = *best = 0;
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++) {
        moe_status status = predict_form(gen, facts, layer, tokens, &moe_pipeline_table[i],
                                         &out[*count]);
        if (status && status != MOE_E_NOT_FOUND) return status;
        if (status) continue;
        if (out[*count].ns < out[*best].ns) *best = *count;
        (*count)++;
    }
    /* Once more, for the message that names what the plain form lacks. */
    return *count ? MOE_OK
                  : predict_form(gen, facts, layer, tokens, moe_pipeline_table, out);
}

/* ------------------------------------------------------------------------------------ printing */

static void add_rows(const moe_form_prediction *p, bool best, int64_t tokens, double roofline,
                     moe_columns *table) {
    char config[MOE_CONFIG_TEXT_SIZE];
    for (int i = 0; i < p->form->steps; i++) {
        const moe_prediction *step = &p->step[i];
        moe_config_print(&step->config, config, sizeof config);
        moe_columns_add(table, "%lld\t%s\t%s\t%lld\t%.2f\t\t%s %s", (long long)tokens,
                        p->form->name, moe_op_names[step->kind], (long long)step->launches,
                        step->ns * 1e-3, step->template_id, config);
    }
    moe_columns_add(table, "%lld\t%s\tlayer\t%lld\t%.2f\t%.1f%%\t%s", (long long)tokens,
                    p->form->name, (long long)p->launches, p->ns * 1e-3, 100 * roofline / p->ns,
                    best ? "<- least" : "");
}

static json_t *json_form(const moe_form_prediction *p, bool best, int64_t tokens,
                         double roofline) {
    char config[MOE_CONFIG_TEXT_SIZE];
    json_t *steps = json_array();
    for (int i = 0; i < p->form->steps; i++) {
        const moe_prediction *step = &p->step[i];
        moe_config_print(&step->config, config, sizeof config);
        json_array_append_new(steps, json_pack("{s:s, s:s, s:s, s:I, s:f}", "op",
                                               moe_op_names[step->kind], "template",
                                               step->template_id, "config", config, "launches",
                                               (json_int_t)step->launches, "ns", step->ns));
    }
    return json_pack("{s:I, s:s, s:b, s:I, s:f, s:f, s:o}", "t", (json_int_t)tokens, "pipeline",
                     p->form->name, "least", best, "launches", (json_int_t)p->launches, "ns",
                     p->ns, "roofline", roofline / p->ns, "ops", steps);
}

moe_status moe_layer_predict_print(const moe_gen *gen, const moe_facts *facts,
                                   const moe_layer *layer, const int64_t *tokens, int count,
                                   bool json, FILE *to) {
    moe_columns *table = json ? NULL
                              : moe_columns_new(">t\tpipeline\top\t>launches\t>predicted us"
                                                "\t>roofline\ttemplate and config");
    json_t *rows = json ? json_array() : NULL;
    moe_status status = MOE_OK;
    for (int t = 0; t < count && !status; t++) {
        moe_form_prediction forms[MOE_PIPELINE_COUNT];
        int there, best;
        status = moe_layer_predict(gen, facts, layer, tokens[t], forms, &there, &best);
        double least = moe_roofline_ns(moe_layer_work(layer, tokens[t], MOE_ROUTING_UNIFORM),
                                       facts, layer->x);
        for (int i = 0; i < there && !status; i++) {
            add_rows(&forms[i], i == best, tokens[t], least, table);
            if (!rows) continue;
            json_array_append_new(rows, json_form(&forms[i], i == best, tokens[t], least));
        }
    }
    moe_columns_print(table, to);
    if (rows && !status) {
        json_dumpf(rows, to, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
        fputc('\n', to);
    }
    json_decref(rows);
    return status;
}
