/* check_matrix.c - default configs over everything that a layer can be. */
#include "core/capacity.h"
#include "core/router.h"
#include "regress/check_layer.h"
#include "regress/covering.h"
#include "run/assemble.h"
#include "search/candidates.h"
#include "tune/spot.h"

#include <stdio.h>
#include <stdlib.h>

/* ORDER FACTORS: the columns of a row. */
enum { ACT, DTYPE, ROUTER, CAPACITY, PRIORITY, DROP, BIAS, EXPERTS, CHOICES, WIDTHS, SHARED, HELD,
       LAYOUT, ROUTER_DTYPE, ROUTING, ENTRY, TUNED_AT, FACTORS };

static const char *const routers[] = {
    "softmax>topk>renorm", "softmax>topk", "topk>softmax", "topk>softmax>input",
    "sigmoid+bias>groups(4,2,sum2)>topk>renorm>scale(2.5)",
    "softmax>groups(4,3,max)>topk>scale(16)",
    "sqrtsoftplus+bias>topk>renorm", "topk>sparsemixer(0.01)", "topk>sparsemixer(0.1)>renorm",
    "base", "expert_choice", "jitter(0.25,all)>noisy>topk>softmax",
    "softmax>topk>renorm>second(paper)", "sqrtsoftplus>hash>renorm", "given", "peer(2,24,128)",
};
static const char *const capacities[] = {
    "none", "1.25", "0.5", "1.25,switch", "1.25,gshard,min(4)", "1.25,tutel", "2,nllb",
    "0.25,tokens",
};
static const unsigned biases[] = {0, MOE_BIAS_ROUTER | MOE_BIAS_UP | MOE_BIAS_DOWN, MOE_BIAS_DOWN};
static const int64_t experts[] = {4, 8, 40, 60, 64, 257};
static const int64_t choices[] = {1, 2, 4, 6, 8};
static const int64_t widths[][2] = {{64, 48}, {136, 72}, {256, 176}}; /* d, f */
/* f: in an expert's widths */
static const moe_shared shared[] = {{0, false}, {1, false}, {2, true}};
static const int64_t parts[] = {1, 4}; /* devices that share the experts out */
static const int64_t tuned_at[] = {1, 64, 512};
static const int64_t tokens[] = {0, 1, 7, 64, 129};

#define COUNT(array) ((int)(sizeof array / sizeof *array))

static moe_act act_of(const int *row) {
    const moe_act_info *info = &moe_act_table[row[ACT]];
    return (moe_act){(moe_act_kind)row[ACT], info->limit, info->alpha};
}

/* Single neurons, of which their router says how many. What matrices have besides, they have
 * not. */
static void make_neurons(moe_layer *layer) {
    *layer = (moe_layer){.size = sizeof *layer, .d = layer->d, .f = 1,
                         .e = layer->router.keys * layer->router.keys,
                         .k = layer->router.heads * layer->k, .act = layer->act, .x = layer->x,
                         .w = layer->w, .router = layer->router,
                         .bias = layer->bias & MOE_BIAS_ROUTER};
}

static moe_layer layer_of(const int *row) {
    const moe_shared extra = shared[row[SHARED]];
    moe_layer layer = {
        .size = sizeof layer, .d = widths[row[WIDTHS]][0], .f = widths[row[WIDTHS]][1],
        .e = experts[row[EXPERTS]],
        .k = choices[row[CHOICES]], .act = act_of(row), .x = (moe_dtype)row[DTYPE],
        .w = (moe_dtype)row[DTYPE], .bias = biases[row[BIAS]], .layout = (moe_layout)row[LAYOUT],
        .priority = (moe_priority)row[PRIORITY], .drop = (moe_drop)row[DROP],
        .router_dtype = (moe_router_dtype)row[ROUTER_DTYPE],
        .shared = {extra.f * widths[row[WIDTHS]][1], extra.gated},
    };
    moe_field_router.parse(NULL, routers[row[ROUTER]], &layer.router);
    moe_field_capacity.parse(NULL, capacities[row[CAPACITY]], &layer.capacity);
    if (moe_layer_rule(&layer)->keys) make_neurons(&layer);
    if (parts[row[HELD]] > 1) layer.local = layer.e / parts[row[HELD]];
    if (moe_layer_rule(&layer)->experts_choose) layer.k = layer.e;
    return layer;
}

static bool legal(const int *row) {
    const moe_layer layer = layer_of(row);
    bool enters = moe_layer_routes(&layer) || row[ENTRY] == MOE_ENTRY_GIVEN;
    return enters && !moe_layer_check(&layer);
}

static const moe_factors factors = {
    .count = FACTORS,
    .levels = {MOE_ACT_COUNT, MOE_FLOATS, COUNT(routers), COUNT(capacities), MOE_PRIORITY_COUNT,
               MOE_DROP_COUNT, COUNT(biases), COUNT(experts), COUNT(choices), COUNT(widths),
               COUNT(shared), COUNT(parts), MOE_LAYOUT_COUNT, MOE_ROUTER_DTYPE_COUNT,
               MOE_ROUTING_COUNT, MOE_ENTRY_COUNT, COUNT(tuned_at)},
    .legal = legal,
};

/* Whether the activation is one of the router's experts. */
static bool goes_together(const int *row) {
    const moe_act_info *act = &moe_act_table[row[ACT]];
    moe_layer layer = {0};
    moe_field_router.parse(NULL, routers[row[ROUTER]], &layer.router);
    return moe_layer_rule(&layer)->keys ? !act->gated : !act->constant;
}

/* The full product is that of activation, dtype and router; the rest varies along it. */
static const moe_factors whole = {
    .count = ROUTER + 1,
    .levels = {MOE_ACT_COUNT, MOE_FLOATS, COUNT(routers)},
    .legal = goes_together,
};

/* The forms that are served take turns from row to row. */
static const moe_pipeline_info *form_of(const moe_checker *checker, const moe_layer *layer,
                                        const int *row) {
    const moe_facts *facts = moe_device_facts(checker->device);
    const moe_pipeline_info *served[MOE_PIPELINE_COUNT];
    int count = 0, turn = 0;
    for (int i = 0; i < FACTORS; i++) turn += row[i];
    for (int i = 0; i < MOE_PIPELINE_COUNT; i++)
        if (moe_form_served(checker->gen, facts, layer, tuned_at[row[TUNED_AT]],
                            &moe_pipeline_table[i], NULL))
            served[count++] = &moe_pipeline_table[i];
    return count ? served[turn % count] : moe_pipeline_plain(layer);
}

/* Compiles the default kernels of some rows, as parallel as the pool is. What fails here fails
 * again where it is judged. */
static moe_status compile_ahead(moe_checker *checker, const int *rows, int64_t count) {
    const moe_facts *facts = moe_device_facts(checker->device);
    moe_source *sources = calloc((size_t)count * MOE_PIPELINE_STEPS, sizeof *sources);
    int64_t used = 0;
    if (!sources) return moe_fail(MOE_E_MEMORY, "no memory for sources");
    for (int64_t i = 0; i < count; i++) {
        const moe_layer layer = layer_of(rows + i * FACTORS);
        const moe_pipeline_info *form = form_of(checker, &layer, rows + i * FACTORS);
        for (int step = 0; step < form->steps; step++) {
            moe_candidate candidate;
            const moe_op op = moe_op_make(form->step[step].op, &layer,
                                          tuned_at[rows[i * FACTORS + TUNED_AT]],
                                          MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
            if (!moe_candidate_default(checker->gen, &op, facts, &candidate) &&
                !moe_render(candidate.t, &op, facts, &candidate.config, false, &sources[used]))
                used++;
        }
    }
    moe_status status = moe_builder_prefetch(checker->builder, sources, used);
    free(sources);
    return status;
}

/* A layer that cannot even be planned is a failed check of its own. */
static moe_status add_unplanned(moe_checker *checker, const moe_layer *layer) {
    moe_check_row row = {.what = "default plan", .outcome = MOE_OUTCOME_COMPILE_FAILED};
    snprintf(row.text, sizeof row.text, "%.1020s", moe_error_text());
    MOE_TRY(moe_layer_print(layer, row.name, sizeof row.name));
    return moe_verdicts_add(checker->verdicts, &row);
}

static moe_status check_row(moe_checker *checker, const int *row) {
    const moe_layer layer = layer_of(row);
    moe_plan *plan;
    moe_status status = moe_default_plan(checker->device, checker->gen, checker->builder, &layer,
                                         tuned_at[row[TUNED_AT]],
                                         form_of(checker, &layer, row), &plan);
    if (status == MOE_E_MEMORY) return status;
    if (status) return add_unplanned(checker, &layer);
    for (int t = 0; t < COUNT(tokens) && !status; t++) {
        const moe_check_case on = {&layer, tokens[t], (moe_routing)row[ROUTING],
                                   (moe_entry)row[ENTRY]};
        if (moe_plan_form(plan, tokens[t])) /* else its kernels serve fewer */
            status = moe_check_plans(checker, &on, &plan, 1, "default plan");
    }
    moe_plan_destroy(plan);
    return status;
}

/* A level for a factor that the product leaves open: spread evenly, and not in step with the others
 * nor with later tries, which must come to every combination (splitmix64, Steele and others
 * 2014). */
static int spread(int64_t row, int factor) {
    uint64_t mixed = (uint64_t)(row * FACTORS + factor + 1) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (int)((mixed >> 33) % (uint64_t)factors.levels[factor]);
}

/* What the product leaves open is drawn until it goes with the rest: there is a legal layer of
 * every row of it. */
static void fill_row(int64_t i, const int *base, int *row) {
    enum { AWAY = 1 << 20 };
    do {
        for (int f = 0; f < FACTORS; f++) row[f] = f < whole.count ? base[f] : spread(i, f);
        i += AWAY;
    } while (!legal(row));
}

static moe_status full_rows(int **rows, int64_t *n) {
    int *base;
    MOE_TRY(moe_full_product(&whole, &base, n));
    *rows = calloc((size_t)(*n * FACTORS), sizeof **rows);
    for (int64_t i = 0; *rows && i < *n; i++)
        fill_row(i, base + i * whole.count, *rows + i * FACTORS);
    free(base);
    return *rows ? MOE_OK : moe_fail(MOE_E_MEMORY, "no memory for the matrix");
}

moe_status moe_check_matrix(moe_checker *checker, bool full) {
    enum { AHEAD = 8 };
    int *rows;
    int64_t n;
    MOE_TRY(full ? full_rows(&rows, &n) : moe_covering(&factors, checker->seed, &rows, &n));
    moe_status status = MOE_OK;
    for (int64_t i = 0; i < n && !status; i++) {
        int64_t ahead = n - i < AHEAD ? n - i : AHEAD;
        checker->progress.share = (double)i / (double)n;
        if (i % AHEAD == 0) status = compile_ahead(checker, rows + i * FACTORS, ahead);
        if (!status) status = check_row(checker, rows + i * FACTORS);
    }
    moe_progress_end(&checker->progress);
    free(rows);
    return status;
}
