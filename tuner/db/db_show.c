/* db_show.c - what a tuning database holds, for people and programs. */
#include "db/db_show.h"

#include "text/columns.h"

#include <jansson.h>
#include <string.h>

/* One device while its rows pass by. */
typedef struct showing {
    moe_storage *store;
    json_t *devices; /* NULL: text */
    json_t *ops, *layers;
    moe_columns *op_table, *layer_table;
    int64_t outcome[MOE_OUTCOME_COUNT], with_code;
    moe_record best; /* of the present op; op.t 0: none */
    FILE *to;
} showing;

static void put_best(showing *s) {
    char op[MOE_OP_TEXT_SIZE], config[MOE_CONFIG_TEXT_SIZE];
    const moe_record *r = &s->best;
    if (!r->op.t) return;
    moe_op_print(&r->op, op, sizeof op);
    moe_config_print(&r->config, config, sizeof config);
    if (s->devices)
        json_array_append_new(
            s->ops, json_pack("{s:s, s:s, s:s, s:f, s:I, s:f, s:s, s:s}", "op", op, "template",
                              r->template_id, "config", config, "med_ns", r->measurement.med, "n",
                              (json_int_t)r->measurement.n, "err", r->measurement.err, "timer",
                              moe_timer_names[r->measurement.timer], "date", r->provenance.date));
    else
        moe_columns_add(s->op_table, "%s\t%s\t%s\t%.2f\t%lld\t%s\t%.10s", op, r->template_id,
                        config, r->measurement.med * 1e-3, (long long)r->measurement.n,
                        moe_timer_names[r->measurement.timer], r->provenance.date);
    s->best.op.t = 0;
}

static moe_status see_record(void *context, const moe_record *record, const char *image) {
    showing *s = context;
    const moe_measurement *m = &record->measurement;
    s->outcome[m->outcome]++;
    s->with_code += *image != '\0';
    if (s->best.op.t && !moe_op_equal(&s->best.op, &record->op)) put_best(s);
    if (m->outcome == MOE_OUTCOME_OK && (!s->best.op.t || m->med < s->best.measurement.med))
        s->best = *record;
    return MOE_OK;
}

static moe_status see_choice(void *context, const moe_choice *choice) {
    showing *s = context;
    char layer[MOE_LAYER_TEXT_SIZE];
    const moe_measurement *m = &choice->measurement;
    MOE_TRY(moe_layer_print(&choice->layer, layer, sizeof layer));
    if (s->devices)
        json_array_append_new(
            s->layers, json_pack("{s:s, s:I, s:s, s:s, s:f, s:I, s:f, s:s, s:s}", "layer", layer,
                                 "t", (json_int_t)choice->t, "routing",
                                 moe_routing_names[choice->routing], "cache",
                                 moe_cache_names[choice->cache], "med_ns", m->med, "n",
                                 (json_int_t)m->n, "err", m->err, "timer",
                                 moe_timer_names[m->timer], "date", choice->provenance.date));
    else
        moe_columns_add(s->layer_table, "%s\t%lld\t%s\t%s\t%.2f\t%.1e\t%s\t%.10s", layer,
                      (long long)choice->t, moe_routing_names[choice->routing],
                      moe_cache_names[choice->cache], m->med * 1e-3, m->err,
                      moe_timer_names[m->timer], choice->provenance.date);
    return MOE_OK;
}

static void start_device(showing *s) {
    memset(s->outcome, 0, sizeof s->outcome);
    s->with_code = 0;
    s->best.op.t = 0;
    s->ops = s->devices ? json_array() : NULL;
    s->layers = s->devices ? json_array() : NULL;
    s->op_table = s->layer_table = NULL;
    if (s->devices) return;
    s->op_table = moe_columns_new("op\ttemplate\tfastest config\t>us\t>n\ttimer\tdate");
    s->layer_table = moe_columns_new("layer\t>t\trouting\tcache\t>us\t>err\ttimer\tdate");
}

static void end_device(showing *s, const char *text) {
    if (s->devices) {
        json_t *outcomes = json_object();
        for (int o = 0; o < MOE_OUTCOME_COUNT; o++)
            json_object_set_new(outcomes, moe_outcome_names[o], json_integer(s->outcome[o]));
        json_array_append_new(s->devices,
                              json_pack("{s:s, s:o, s:I, s:o, s:o}", "device", text, "records",
                                        outcomes, "with_code", (json_int_t)s->with_code, "ops",
                                        s->ops, "layers", s->layers));
        return;
    }
    fprintf(s->to, "device %s\nrecords:", text);
    for (int o = 0; o < MOE_OUTCOME_COUNT; o++)
        if (s->outcome[o])
            fprintf(s->to, " %lld %s,", (long long)s->outcome[o], moe_outcome_names[o]);
    fprintf(s->to, " %lld with code\n\n", (long long)s->with_code);
    moe_columns_print(s->op_table, s->to);
    fputc('\n', s->to);
    moe_columns_print(s->layer_table, s->to);
    fputc('\n', s->to);
}

static moe_status see_device(void *context, int64_t device, const moe_facts *facts) {
    showing *s = context;
    char text[512];
    moe_facts_print(facts, text, sizeof text);
    start_device(s);
    moe_status status = moe_storage_records(s->store, device, see_record, s);
    if (!status) put_best(s);
    if (!status) status = moe_storage_choices(s->store, device, see_choice, s);
    end_device(s, text);
    return status;
}

moe_status moe_db_show(moe_storage *store, bool json, FILE *to) {
    showing s = {.store = store, .to = to, .devices = json ? json_array() : NULL};
    moe_status status = moe_storage_devices(store, see_device, &s);
    if (!json) return status;
    json_t *all = json_pack("{s:s, s:o}", "db", moe_storage_path(store), "devices", s.devices);
    json_dumpf(all, to, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    fputc('\n', to);
    json_decref(all);
    return status;
}
