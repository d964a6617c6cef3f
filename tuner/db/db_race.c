/* db_race.c - the candidates of each op in a database, and who wins among them. */
#include "db/db_race.h"

#include "measure/winner.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_RACERS = 4096 };

/* The rows of one op, which race. */
typedef struct group {
    moe_race_each *each;
    void *context;
    moe_record *record; /* [MAX_RACERS], owned */
    int count;
} group;

static moe_status close_group(group *g) {
    moe_racer *racers = calloc((size_t)g->count + 1, sizeof *racers);
    char(*text)[MOE_TEMPLATE_ID_SIZE + MOE_CONFIG_TEXT_SIZE] =
        calloc((size_t)g->count + 1, sizeof *text);
    moe_status status = MOE_OK;
    if (!racers || !text) status = moe_fail(MOE_E_MEMORY, "no memory for %d records", g->count);
    for (int i = 0; i < g->count && !status; i++) {
        const moe_record *record = &g->record[i];
        int used = snprintf(text[i], sizeof text[i], "%s ", record->template_id);
        moe_config_print(&record->config, text[i] + used, sizeof text[i] - (size_t)used);
        racers[i] = (moe_racer){record->measurement, record->provenance.is_default, text[i]};
    }
    if (!status && g->count)
        status = g->each(g->context, g->record, g->count, moe_winner(racers, g->count));
    free(racers);
    free(text);
    g->count = 0;
    return status;
}

/* Rows come sorted, so that those of one op follow each other. */
static moe_status add_to_group(void *context, const moe_record *record, const char *image) {
    (void)image;
    group *g = context;
    if (g->count && (g->count == MAX_RACERS || !moe_op_equal(&g->record[0].op, &record->op)))
        MOE_TRY(close_group(g));
    g->record[g->count++] = *record;
    return MOE_OK;
}

moe_status moe_db_races(moe_storage *store, int64_t device, moe_race_each *each, void *context) {
    group g = {each, context, malloc(MAX_RACERS * sizeof *g.record), 0};
    if (!g.record) return moe_fail(MOE_E_MEMORY, "no memory for records");
    moe_status status = moe_storage_records(store, device, add_to_group, &g);
    if (!status) status = close_group(&g);
    free(g.record);
    return status;
}
