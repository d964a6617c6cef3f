/* plan_image.c - the code behind one op of a plan, to run it alone. */
#include "tune/plan_image.h"

#include "run/db.h"
#include "run/plan.h"
#include "tune/spot.h"

#include <stdio.h>

/* `what` is said of one that does not compile, too. */
static moe_status default_image(moe_device *device, const moe_gen *gen, moe_builder *builder,
                                const moe_op *op, moe_image *out, char *what, size_t size) {
    char config[MOE_CONFIG_TEXT_SIZE];
    moe_candidate candidate = {0};
    const moe_image *image;
    moe_status status =
        moe_default_image(op, moe_device_facts(device), gen, builder, &candidate, &image);
    moe_config_print(&candidate.config, config, sizeof config);
    if (candidate.t)
        snprintf(what, size, "%s %s (default)", moe_template_id(candidate.t), config);
    if (!status) *out = *image;
    return status;
}

/* The row of an op that the plan does without: the best that the database has. */
static moe_status find_other_row(moe_db *db, const moe_plan *plan, const moe_op *op, moe_row *out) {
    moe_rows rows = {0};
    moe_fit fit;
    moe_status status = moe_db_rows(db, op->kind, &plan->ask.layer, &plan->ask.want, &rows);
    const moe_row *best = status ? NULL : moe_rows_best(&rows, &plan->ask.want, op->t, &fit);
    if (best)
        *out = *best;
    else if (!status)
        status = moe_fail(MOE_E_NOT_FOUND, "no tuned kernel of %s", moe_op_names[op->kind]);
    moe_rows_free(&rows);
    return status;
}

static moe_status find_row(moe_db *db, const moe_plan *plan, const moe_op *op, moe_row *out) {
    const moe_bucket *bucket = moe_plan_bucket(plan, op->t);
    for (int i = 0; i < bucket->form->steps; i++)
        if (bucket->form->step[i].op == op->kind) return *out = bucket->step[i].row, MOE_OK;
    return find_other_row(db, plan, op, out);
}

moe_status moe_plan_image(moe_db *db, moe_device *device, const moe_gen *gen, moe_builder *builder,
                          const moe_plan *plan, const moe_op *op, bool tuned, moe_image *image,
                          char *what, size_t size) {
    moe_row row;
    if (!tuned) return default_image(device, gen, builder, op, image, what, size);
    MOE_TRY(find_row(db, plan, op, &row));
    snprintf(what, size, "%s %s", row.template_id, row.config);
    return moe_db_image(db, row.image, image);
}

static int64_t rows_of(const moe_config *config) {
    int64_t rows = moe_config_get(config, "bm", moe_config_get(config, "n", 1));
    return rows > 0 ? rows : 1;
}

static int64_t tuned_tile(const moe_plan *plan, int64_t tokens) {
    const moe_bucket *bucket = moe_plan_bucket(plan, tokens);
    moe_config config = {0};
    for (int i = 0; i < bucket->form->steps; i++)
        if (bucket->form->step[i].op == MOE_OP_gemm_up)
            moe_config_parse(bucket->step[i].row.config, &config);
    return rows_of(&config);
}

int64_t moe_plan_tile(const moe_device *device, const moe_gen *gen, const moe_plan *plan,
                      const moe_op *up, bool tuned) {
    moe_candidate candidate;
    if (tuned) return tuned_tile(plan, up->t);
    if (moe_candidate_default(gen, up, moe_device_facts(device), &candidate)) return 1;
    return rows_of(&candidate.config);
}
