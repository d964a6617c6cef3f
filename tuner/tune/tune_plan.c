/* tune_plan.c - how a tune spends its budget. */
#include "tune/tune_plan.h"

#include "core/args.h"
#include "judge/op_work.h"

#include <math.h>

enum { FEWEST = 8 }; /* candidates of an op, however small the budget */

/* Round figures of a server with a GPU: NVRTC takes 0.3 to 1.5 s a kernel; a core makes random
 * numbers at 100 million a second; pageable copies run at 6 GB/s; a reference of a billion FLOPs in
 * double takes a core half a second. */
static const double COMPILE = 0.6, NUMBERS_A_CORE = 1e8, COPY = 6e9, REFERENCE_A_CORE = 0.5;
enum { MOST_CORES = 16 };

/* A candidate is loaded, run to be verified, warmed up, and timed five times; around each run stand
 * poison and flushes, synchronisation and the judge. */
static const double LOAD = 0.015;
enum { SCREEN_RUNS = 9, RACE_RUNS = 900, LAYER_RUNS = 800 };

/* A kernel reaches about half of the roofline in the mean of all candidates; launches take 5 us. */
static double run_seconds(const moe_tuner *tuner, moe_work_size work, moe_dtype dtype) {
    double least = moe_roofline_ns(work, tuner->facts, dtype) * 1e-9;
    double flush = 4.0 * (double)tuner->facts->l2 / ((double)tuner->facts->bandwidth * 1e9);
    return tuner->facts->simulated ? moe_tuner_seconds(tuner, work.flops)
                                   : 2 * least + flush + 25e-6;
}

static double setup_seconds(const moe_tuner *tuner, const moe_layer *layer, int64_t tokens,
                            double elements) {
    double cores = tuner->workers < MOST_CORES ? tuner->workers : MOST_CORES;
    double all = elements + (double)(tokens * layer->d);
    return all / (NUMBERS_A_CORE * cores) + 2 * all / COPY + REFERENCE_A_CORE / cores;
}

/* Inputs that have to be made; what else an op reads is small. */
static double op_elements(const moe_op *op) {
    const moe_layer *l = &op->layer;
    double d = (double)l->d, f = (double)l->f, e = (double)l->e;
    double slots = (double)(op->t * l->k), elements = 0;
    if (moe_op_reads(op->kind, MOE_ARG_up)) elements += e * d * (double)moe_layer_up_rows(l);
    if (moe_op_reads(op->kind, MOE_ARG_down)) elements += e * d * f;
    if (moe_op_reads(op->kind, MOE_ARG_h)) elements += slots * f;
    if (moe_op_reads(op->kind, MOE_ARG_y_rows)) elements += slots * d;
    return elements;
}

static moe_op_plan plan_of(const moe_tuner *tuner, const moe_op *op) {
    double run = run_seconds(tuner, moe_op_work(op), op->layer.x);
    moe_op_plan plan = {.setup = setup_seconds(tuner, &op->layer, op->t, op_elements(op)),
                        .compile = COMPILE / tuner->workers};
    if (tuner->facts->simulated) { /* one run verifies and gives the model's time */
        plan.measure = 0.02 + 1.3 * run;
    } else {
        plan.measure = LOAD + SCREEN_RUNS * run;
        plan.races = RACE_RUNS * run;
    }
    return plan;
}

double moe_op_plan_seconds(const moe_op_plan *plan) {
    /* Compilers work while a candidate runs, but the first run waits for the first of them. */
    double each = fmax(plan->compile, plan->measure);
    return plan->setup + COMPILE + (double)plan->limit * each + plan->races;
}

double moe_layer_plan_seconds(const moe_tuner *tuner, const moe_layer_result *layer) {
    const moe_layer *l = &layer->layer;
    double run = run_seconds(tuner, moe_layer_work(l, layer->t, layer->routing), l->x);
    double weights = (double)(l->e * l->d * (moe_layer_up_rows(l) + l->f));
    return setup_seconds(tuner, l, layer->t, weights) +
           (tuner->facts->simulated ? 4 : LAYER_RUNS) * run;
}

void moe_tune_plan(const moe_tuner *tuner, const moe_op_result *op, int64_t count, double seconds,
                   moe_op_plan *out) {
    double wished = 0, fixed = 0;
    for (int64_t i = 0; i < count; i++) {
        out[i] = plan_of(tuner, &op[i].op);
        fixed += moe_op_plan_seconds(&out[i]);
        wished += moe_op_wish(op[i].op.kind) * fmax(out[i].compile, out[i].measure);
    }
    for (int64_t i = 0; i < count; i++) {
        double fit = fmax(0, seconds - fixed) * moe_op_wish(op[i].op.kind) / wished;
        out[i].limit = fit < (double)tuner->limit ? (int64_t)fit : tuner->limit;
        if (out[i].limit < FEWEST) out[i].limit = FEWEST < tuner->limit ? FEWEST : tuner->limit;
    }
}
