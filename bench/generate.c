/* generate.c - how fast templates become code on this machine.
 *
 *     bench_generate [--json] [--runs N] [TEMPLATES]      TEMPLATES: templates
 *
 * For a template of each kind: its space (configs asked a second), its cost function (calls a
 * second), rendering, and rendering with compilation (kernels a second, one thread). Median and
 * best of N runs (7). Run it in the source folder. */
#include "compile/compile.h"
#include "gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_RUNS = 99, RENDERS = 20 };

static const char *const ops[] = {
    "route t=64 d=2048 e=128 k=8",
    "permute t=64 e=128 k=8",
    "gemm_up t=64 d=2048 f=768 e=128 k=8 act=swiglu",
    "combine t=64 d=2048 k=8",
    NULL,
};

/* What is timed: a template at an op, and the first of its legal configs onwards. */
typedef struct subject {
    const moe_template *t;
    moe_op op;
    moe_facts facts;
    moe_space *space;
} subject;

/* One timed thing: does it once and says how many it did. */
typedef struct measure {
    const char *name, *unit;
    moe_status (*run)(const subject *s, int64_t *done);
} measure;

static moe_status run_space(const subject *s, int64_t *done) {
    moe_space *space;
    MOE_TRY(moe_space_open(s->t, &s->op, &s->facts, &space));
    *done = moe_space_total(space);
    moe_space_close(space);
    return MOE_OK;
}

static moe_status run_cost(const subject *s, int64_t *done) {
    int64_t count = moe_space_count(s->space);
    for (*done = 0; *done < count && *done < 1000; ++*done) {
        moe_config config;
        moe_cost cost;
        MOE_TRY(moe_space_config(s->space, *done, &config));
        MOE_TRY(moe_template_cost(s->t, &s->op, &s->facts, &config, NULL, &cost));
    }
    return MOE_OK;
}

static moe_status render(const subject *s, int64_t index, moe_source *out) {
    moe_config config;
    MOE_TRY(moe_space_config(s->space, index % moe_space_count(s->space), &config));
    return moe_render(s->t, &s->op, &s->facts, &config, false, out);
}

static moe_status run_render(const subject *s, int64_t *done) {
    for (*done = 0; *done < RENDERS; ++*done) {
        moe_source source;
        MOE_TRY(render(s, *done, &source));
        moe_source_free(&source);
    }
    return MOE_OK;
}

static moe_status run_compile(const subject *s, int64_t *done) {
    moe_source source;
    moe_compiled compiled;
    *done = 1;
    MOE_TRY(render(s, 0, &source));
    moe_status status = moe_compile(&source, s->facts.arch, &compiled);
    moe_source_free(&source);
    if (status) return status;
    if (compiled.outcome == MOE_OUTCOME_COMPILE_FAILED)
        status = moe_fail(MOE_E_COMPILE, "%s", compiled.reason);
    moe_compiled_free(&compiled);
    return status;
}

static const measure measures[] = {
    {"space", "configs/s", run_space},
    {"cost", "calls/s", run_cost},
    {"render", "kernels/s", run_render},
    {"render+compile", "kernels/s", run_compile},
};

enum { MEASURES = sizeof measures / sizeof measures[0] };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_row(const subject *s, const measure *m, double median, double best, bool json) {
    const char *name = moe_template_name(s->t);
    if (json)
        printf("{\"template\":\"%s\",\"measure\":\"%s\",\"unit\":\"%s\",\"median\":%.6g,"
               "\"best\":%.6g}\n", name, m->name, m->unit, median, best);
    else
        printf("%-14s %-15s %12.1f %12.1f %s\n", name, m->name, median, best, m->unit);
}

static moe_status time_measure(const subject *s, const measure *m, int runs, bool json) {
    double rate[MAX_RUNS];
    for (int i = 0; i < runs; i++) {
        int64_t done = 0;
        double start = seconds();
        MOE_TRY(m->run(s, &done));
        rate[i] = (double)done / (seconds() - start);
    }
    qsort(rate, (size_t)runs, sizeof rate[0], compare);
    print_row(s, m, rate[runs / 2], rate[runs - 1], json);
    return MOE_OK;
}

static moe_status time_subject(subject *s, int runs, bool json) {
    MOE_TRY(moe_space_open(s->t, &s->op, &s->facts, &s->space));
    moe_status status = MOE_OK;
    for (int i = 0; !status && i < MEASURES; i++)
        status = time_measure(s, &measures[i], runs, json);
    moe_space_close(s->space);
    return status;
}

static moe_status time_op(const moe_gen *gen, const char *text, int runs, bool json) {
    subject s = {.facts = {.arch = "sm_90a", .name = "bench", .sms = 132, .l2 = 50 << 20,
                           .memory = INT64_C(80) << 30, .clock = 1980, .bandwidth = 3350}};
    moe_facts_complete(&s.facts);
    MOE_TRY(moe_op_parse(text, &s.op));
    for (int i = 0; i < moe_gen_count(gen); i++) {
        s.t = moe_gen_at(gen, i);
        if (moe_template_serves(s.t, &s.op, &s.facts, NULL, 0)) return time_subject(&s, runs, json);
    }
    return moe_fail(MOE_E_NOT_FOUND, "no template serves '%s'", text);
}

static moe_status bench(const char *folder, int runs, bool json) {
    moe_gen *gen;
    MOE_TRY(moe_gen_open(folder, &gen));
    if (!json) printf("%-14s %-15s %12s %12s\n", "template", "measure", "median", "best");
    moe_status status = MOE_OK;
    for (int i = 0; !status && ops[i]; i++) status = time_op(gen, ops[i], runs, json);
    moe_gen_close(gen);
    return status;
}

int main(int argc, char **argv) {
    const char *folder = "templates";
    bool json = false;
    int runs = 7;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json")) json = true;
        else if (!strcmp(argv[i], "--runs") && i + 1 < argc) runs = atoi(argv[++i]);
        else if (argv[i][0] != '-') folder = argv[i];
        else runs = 0;
    }
    if (runs < 1 || runs > MAX_RUNS) {
        fprintf(stderr, "usage: bench_generate [--json] [--runs 1..%d] [TEMPLATES]\n", MAX_RUNS);
        return 2;
    }
    if (bench(folder, runs, json) == MOE_OK) return 0;
    fprintf(stderr, "bench_generate: %s\n", moe_error_text());
    return 3;
}
