/* layer_report.c - what a layer is, in numbers, as text or JSON. */
#include "report/layer_report.h"

#include "measure/roofline.h"
#include "models/model_size.h"
#include "report/layer_figures.h"
#include "report/layer_words.h"
#include "text/columns.h"

#include <inttypes.h>
#include <string.h>

#include <jansson.h>

enum { RULE_SIZE = 512 };

/* Dtypes that weights are kept in, whether or not a layer computes in them. */
static const struct {
    const char *name;
    double bytes;
} stores[] = {{"f32", 4}, {"bf16", 2}, {"fp8", 1}, {"4 bits", 0.5}};

static const char *rule_of(const moe_layer *layer, char *rule) {
    moe_text words = moe_text_start(rule, RULE_SIZE);
    moe_router_words(&layer->router, &words);
    return rule;
}

/* ------------------------------------------------------------------------------------- text */

static void print_shape(const moe_tensor_row *row, moe_text *out) {
    moe_text_add(out, "[%s", row->t ? row->t : "");
    for (int i = 0; i < 4 && row->shape[i]; i++)
        moe_text_add(out, "%s%" PRId64, i || row->t ? "," : "", row->shape[i]);
    moe_text_add(out, "]");
}

static void print_tensors(const moe_layer *layer, FILE *to) {
    moe_tensor_row rows[MOE_MAX_TENSOR_ROWS];
    char shape[80];
    for (int i = 0, count = moe_layer_tensors(layer, rows); i < count; i++) {
        moe_text out = moe_text_start(shape, sizeof shape);
        print_shape(&rows[i], &out);
        fprintf(to, "    %-22s %-24s %s\n", rows[i].name, shape, rows[i].dtype);
    }
}

static void print_counts(const moe_layer *layer, FILE *to) {
    const moe_layer_figures f = moe_layer_count(layer);
    char rule[RULE_SIZE], capacity[RULE_SIZE];
    moe_text words = moe_text_start(capacity, sizeof capacity);
    moe_capacity_words(layer, &words);
    fprintf(to, "\nparameters  %.6g M in all, %.6g M active for a token, %.6g M an expert\n",
            (double)f.all / 1e6, (double)f.active / 1e6, (double)f.expert / 1e6);
    fprintf(to, "bytes       %.6g MB of weights; as", (double)f.bytes / 1e6);
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        fprintf(to, "%s %s %.6g", i ? "," : "", stores[i].name,
                (double)f.all * stores[i].bytes / 1e6);
    if (f.shared)
        fprintf(to, "\nshared      one more expert of width %" PRId64 "%s for every token, %.6g M",
                layer->shared.f, layer->shared.gated ? " and a gate" : "", (double)f.shared / 1e6);
    if (moe_layer_held(layer) < layer->e)
        fprintf(to, "\ndevice      %" PRId64 " of %" PRId64 " experts, on average %.3g of the "
                    "%" PRId64 " that a token chooses; all figures are of this device",
                moe_layer_held(layer), layer->e,
                (double)(layer->k * moe_layer_held(layer)) / (double)layer->e, layer->k);
    fprintf(to, "\nFLOPs       %.6g M a token in the experts, %.6g M in the router\n",
            (double)f.flops / 1e6, (double)f.router_flops / 1e6);
    fprintf(to, "router      %s\n", rule_of(layer, rule));
    fprintf(to, "capacity    %s\n", capacity);
}

static void print_model(const moe_model *model, FILE *to) {
    const moe_model_parameters *p = &model->parameters;
    if (model->note) fprintf(to, "note        %s\n", model->note);
    if (!model->layers) return;
    fprintf(to, "model       %s: %" PRId64 " of %" PRId64 " layers have experts; %.4g G "
                "parameters, %.4g G active%s\n",
            model->family, model->moe_layers, model->layers, moe_model_total(p) / 1e9,
            moe_model_active(p) / 1e9,
            p->whole ? "" : ", of the MoE layers alone: keys of the rest are missing");
    fprintf(to, "            G in experts %.4g, routers %.3g, shared experts %.3g",
            p->experts / 1e9, p->routers / 1e9, p->shared / 1e9);
    if (p->whole)
        fprintf(to, ", dense layers %.3g, attention or its like %.3g, embeddings %.3g",
                p->dense / 1e9, p->mixers / 1e9, p->embeddings / 1e9);
    fprintf(to, "\n");
}

static void print_loads(const moe_layer_report *r, FILE *to) {
    const moe_layer *layer = &r->model->layer;
    moe_columns *table =
        moe_columns_new(">T\t>experts\t>GFLOP\t>MB\t>FLOP/byte\t>least us\tbound by");
    fprintf(to, "\nLeast work for T tokens that choose at random, on %s (%.4g TFLOP/s, %" PRId64
                " GB/s):\n\n",
            r->facts->name, moe_peak_flops(r->facts, layer->x) / 1e12, r->facts->bandwidth);
    for (int i = 0; i < r->token_count; i++) {
        const moe_layer_load at = moe_layer_load_at(layer, r->facts, r->tokens[i]);
        moe_columns_add(table, "%" PRId64 "\t%.1f (%.1f %%)\t%.4g\t%.4g\t%.3g\t%.4g\t%s",
                        r->tokens[i], at.experts, 100 * at.touched,
                        at.flops / 1e9, at.bytes / 1e6, at.flops / at.bytes, at.ns / 1e3,
                        at.compute ? "products" : "memory");
    }
    moe_columns_print(table, to);
}

/* ------------------------------------------------------------------------------------- JSON */

static json_t *tensors_json(const moe_layer *layer) {
    moe_tensor_row rows[MOE_MAX_TENSOR_ROWS];
    json_t *list = json_array();
    for (int i = 0, count = moe_layer_tensors(layer, rows); i < count; i++) {
        json_t *shape = json_array();
        if (rows[i].t) json_array_append_new(shape, json_string(rows[i].t));
        for (int n = 0; n < 4 && rows[i].shape[n]; n++)
            json_array_append_new(shape, json_integer(rows[i].shape[n]));
        json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "name", rows[i].name, "dtype",
                                              rows[i].dtype, "shape", shape));
    }
    return list;
}

static json_t *loads_json(const moe_layer_report *r) {
    json_t *list = json_array();
    for (int i = 0; i < r->token_count; i++) {
        const moe_layer_load at = moe_layer_load_at(&r->model->layer, r->facts, r->tokens[i]);
        json_array_append_new(
            list, json_pack("{s:I,s:f,s:f,s:f,s:f,s:f,s:s}", "tokens", (json_int_t)r->tokens[i],
                            "experts_touched", at.touched, "experts", at.experts, "flops",
                            at.flops, "bytes", at.bytes, "least_ns", at.ns, "bound",
                            at.compute ? "products" : "memory"));
    }
    return list;
}

static json_t *model_json(const moe_model *model) {
    const moe_model_parameters *p = &model->parameters;
    return json_pack("{s:s,s:I,s:I,s:b,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "family",
                     model->family, "layers", (json_int_t)model->layers, "moe_layers",
                     (json_int_t)model->moe_layers, "whole", p->whole, "parameters",
                     moe_model_total(p), "active", moe_model_active(p), "experts", p->experts,
                     "routers", p->routers, "shared_experts", p->shared, "dense", p->dense,
                     "mixers", p->mixers, "embeddings", p->embeddings);
}

static json_t *report_json(const moe_layer_report *r, const char *text) {
    const moe_layer *layer = &r->model->layer;
    const moe_layer_figures f = moe_layer_count(layer);
    char rule[RULE_SIZE];
    json_t *root = json_pack(
        "{s:s, s:o, s:{s:I,s:I,s:I,s:I,s:I}, s:I, s:{s:I,s:I}, s:s, s:s, s:o}", "layer", text,
        "tensors", tensors_json(layer), "parameters", "all", (json_int_t)f.all, "active",
        (json_int_t)f.active, "expert", (json_int_t)f.expert, "router", (json_int_t)f.router,
        "shared", (json_int_t)f.shared, "bytes", (json_int_t)f.bytes, "flops_per_token", "experts",
        (json_int_t)f.flops, "router", (json_int_t)f.router_flops, "router_rule",
        rule_of(layer, rule), "device", r->facts->name, "work", loads_json(r));
    if (root && *r->model->family) json_object_set_new(root, "model", model_json(r->model));
    return root;
}

moe_status moe_layer_report_print(const moe_layer_report *report, bool json, FILE *to) {
    const moe_layer *layer = &report->model->layer;
    char text[MOE_LAYER_TEXT_SIZE];
    MOE_TRY(moe_layer_print(layer, text, sizeof text));
    if (!json) {
        fprintf(to, "%s\n\n", text);
        print_tensors(layer, to);
        print_counts(layer, to);
        print_model(report->model, to);
        print_loads(report, to);
        return MOE_OK;
    }
    json_t *root = report_json(report, text);
    if (!root) return moe_fail(MOE_E_MEMORY, "no memory to write JSON");
    int failed = json_dumpf(root, to, JSON_INDENT(2));
    json_decref(root);
    if (!failed) fprintf(to, "\n");
    return failed ? moe_fail(MOE_E_IO, "cannot write to standard output") : MOE_OK;
}
