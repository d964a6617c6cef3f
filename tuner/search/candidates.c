/* candidates.c - every config of every template that serves an op on a device, as one landscape. */
#include "search/candidates.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEMPLATES = 64, CHOICES = MOE_MAX_PARAMS + 1 };

static moe_status no_memory(void) { return moe_fail(MOE_E_MEMORY, "no memory for candidates"); }

/* The values of one parameter met so far, as numbers of the landscape's values. */
typedef struct param_values {
    int64_t value[256];
    int number[256];
    int count;
} param_values;

/* The number of a parameter's value; a new one gets the next free number. */
static int value_number(param_values *known, int64_t value, int *next) {
    int i = 0;
    while (i < known->count && known->value[i] != value) i++;
    if (i == known->count) {
        if (i == 256) return -1; /* no parameter has so many values worth telling apart */
        known->value[i] = value;
        known->number[i] = (*next)++;
        known->count++;
    }
    return known->number[i];
}

/* Numbers the choices of the candidates from `first` on, which are of one template. */
static moe_status number_choices(moe_candidates *all, int *choice, int64_t first) {
    moe_landscape *land = &all->landscape;
    param_values *known = calloc(MOE_MAX_PARAMS, sizeof *known);
    if (!known) return no_memory();
    int own = land->values++; /* the choice of the template itself */
    for (int64_t i = first; i < all->count; i++) {
        int *row = choice + i * CHOICES;
        const moe_config *config = &all->item[i].config;
        row[0] = own;
        for (int p = 0; p < MOE_MAX_PARAMS; p++)
            row[p + 1] = p < config->count
                             ? value_number(&known[p], config->param[p].value, &land->values)
                             : -1;
    }
    free(known);
    return MOE_OK;
}

static bool same_config(const moe_config *a, const moe_config *b) {
    char text_a[MOE_CONFIG_TEXT_SIZE], text_b[MOE_CONFIG_TEXT_SIZE];
    moe_config_print(a, text_a, sizeof text_a);
    moe_config_print(b, text_b, sizeof text_b);
    return !strcmp(text_a, text_b);
}

static moe_status grow(moe_candidates *all, double **cost, int **choice, int64_t more) {
    size_t count = (size_t)(all->count + more + 1);
    void *item = realloc(all->item, count * sizeof *all->item);
    if (item) all->item = item;
    void *costs = realloc(*cost, count * sizeof **cost);
    if (costs) all->landscape.cost = *cost = costs;
    void *choices = realloc(*choice, count * CHOICES * sizeof **choice);
    if (choices) all->landscape.choice = *choice = choices;
    return item && costs && choices ? MOE_OK : no_memory();
}

/* Sums in any order are for those who asked for them. */
static moe_status is_allowed(const moe_gen *gen, const moe_template *t, const moe_op *op,
                             const moe_facts *facts, const moe_config *config, bool *out) {
    *out = moe_gen_any_order(gen);
    return *out ? MOE_OK : moe_template_repeats(t, op, facts, config, out);
}

static moe_status fill(moe_candidates *all, double *cost, const moe_gen *gen, const moe_template *t,
                       const moe_space *space, const moe_op *op, const moe_facts *facts) {
    moe_config chosen;
    MOE_TRY(moe_template_default(t, op, facts, &chosen));
    for (int64_t i = 0; i < moe_space_count(space); i++) {
        moe_candidate *item = &all->item[all->count];
        moe_cost predicted;
        bool allowed;
        *item = (moe_candidate){.t = t};
        MOE_TRY(moe_space_config(space, i, &item->config));
        MOE_TRY(is_allowed(gen, t, op, facts, &item->config, &allowed));
        if (!allowed) continue;
        MOE_TRY(moe_template_cost(t, op, facts, &item->config, NULL, &predicted));
        cost[all->count++] = predicted.ns;
        item->is_default = same_config(&item->config, &chosen);
    }
    return MOE_OK;
}

static moe_status add_template(moe_candidates *all, double **cost, int **choice,
                               const moe_gen *gen, const moe_template *t, const moe_op *op,
                               const moe_facts *facts) {
    moe_space *space;
    int64_t first = all->count;
    MOE_TRY(moe_space_open(t, op, facts, &space));
    moe_status status = grow(all, cost, choice, moe_space_count(space));
    if (!status) status = fill(all, *cost, gen, t, space, op, facts);
    if (status)
        all->count = first;
    else
        status = number_choices(all, *choice, first);
    moe_space_close(space);
    return status;
}

static double known_cost(double cost) { return cost > 0 ? cost : INFINITY; }

/* Lists the defaults, cheapest first. */
static moe_status list_defaults(moe_candidates *all) {
    moe_landscape *land = &all->landscape;
    int64_t *defaults = malloc(MAX_TEMPLATES * sizeof *defaults);
    if (!defaults) return no_memory();
    for (int64_t i = 0; i < all->count; i++) {
        if (!all->item[i].is_default || land->default_count == MAX_TEMPLATES) continue;
        int64_t at = land->default_count++;
        for (; at > 0 && known_cost(land->cost[i]) < known_cost(land->cost[defaults[at - 1]]); at--)
            defaults[at] = defaults[at - 1];
        defaults[at] = i;
    }
    land->defaults = defaults;
    return MOE_OK;
}

static moe_status none_serves(const moe_gen *gen, const moe_op *op, const moe_facts *facts) {
    char why[1024], reason[256];
    moe_text list = moe_text_start(why, sizeof why);
    for (int i = 0; i < moe_gen_count(gen); i++) {
        const moe_template *t = moe_gen_at(gen, i);
        if (moe_template_serves(t, op, facts, reason, sizeof reason))
            snprintf(reason, sizeof reason, "its sums depend on the order of arrival; --any-order "
                                            "allows it");
        moe_text_add(&list, "; %s: %s", moe_template_name(t), reason);
    }
    return moe_fail(MOE_E_NOT_FOUND, "no template serves %s on %s%s", moe_op_names[op->kind],
                    facts->arch, why);
}

moe_status moe_candidates_init(moe_candidates *candidates, const moe_gen *gen, const moe_op *op,
                               const moe_facts *facts, const moe_template *only) {
    moe_candidates all = {.landscape = {.choices = CHOICES}};
    double *cost = NULL;
    int *choice = NULL;
    moe_status status = MOE_OK;
    for (int i = 0; i < moe_gen_count(gen) && status != MOE_E_MEMORY; i++) {
        const moe_template *t = moe_gen_at(gen, i);
        if ((only && t != only) || !moe_template_serves(t, op, facts, NULL, 0)) continue;
        status = add_template(&all, &cost, &choice, gen, t, op, facts);
        if (status) snprintf(all.skipped, sizeof all.skipped, "%s", moe_error_text());
    }
    all.landscape.count = all.count;
    if (all.count)
        status = status == MOE_E_MEMORY ? status : list_defaults(&all);
    else if (!status)
        status = none_serves(gen, op, facts);
    if (status)
        moe_candidates_free(&all);
    else
        *candidates = all;
    return status;
}

void moe_candidates_free(moe_candidates *candidates) {
    free(candidates->item);
    free((void *)candidates->landscape.cost);
    free((void *)candidates->landscape.choice);
    free((void *)candidates->landscape.defaults);
    *candidates = (moe_candidates){0};
}

moe_status moe_candidate_default(const moe_gen *gen, const moe_op *op, const moe_facts *facts,
                                 moe_candidate *out) {
    double least = 0;
    bool found = false;
    moe_status status = MOE_OK;
    for (int i = 0; i < moe_gen_count(gen); i++) {
        const moe_template *t = moe_gen_at(gen, i);
        moe_candidate candidate = {.t = t, .is_default = true};
        moe_cost cost;
        bool allowed = true;
        if (!moe_template_serves(t, op, facts, NULL, 0)) continue;
        moe_status its = moe_template_default(t, op, facts, &candidate.config);
        if (!its) its = is_allowed(gen, t, op, facts, &candidate.config, &allowed);
        if (!its && !allowed) continue;
        if (!its) its = moe_template_cost(t, op, facts, &candidate.config, NULL, &cost);
        if (its) {
            status = its;
            continue;
        }
        if (found && known_cost(cost.ns) >= least) continue;
        found = true;
        least = known_cost(cost.ns);
        *out = candidate;
    }
    if (found) return MOE_OK;
    return status ? status : none_serves(gen, op, facts);
}
