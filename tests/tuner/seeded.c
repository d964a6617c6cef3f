/* seeded.c - bugs put into the text of shipped templates. */
#include "seeded.h"

#include "core/pipeline.h"
#include "device/device.h"
#include "tune/spot.h"
#include "workbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if (call) fail_msg("%s: %s", #call, moe_error_text());                                     \
    } while (0)

/* A copy of the shipped templates, and what tries them. */
typedef struct bench {
    char folder[64];
    moe_device *device;
    moe_builder *builder;
} bench;

/* Memory of a GPU that nobody has used is mostly 0: what leans on that must be found all the
 * same. */
static const moe_device_class *simulated;

static moe_status alloc_zeroed(void *self, size_t bytes, moe_ptr *out) {
    MOE_TRY(simulated->alloc(self, bytes, out));
    return bytes ? simulated->fill(self, *out, 0, bytes, NULL) : MOE_OK;
}

static void zero_what_is_new(moe_device *device) {
    static moe_device_class zeroed;
    simulated = device->class;
    zeroed = *simulated;
    zeroed.alloc = alloc_zeroed;
    device->class = &zeroed;
}

static bench bench_open(const char *device) {
    bench b = {0};
    char command[128];
    workbench_folder(b.folder);
    snprintf(command, sizeof command, "cp -r templates/. '%s'", b.folder);
    assert_int_equal(system(command), 0);
    CHECK(moe_device_open(device, &b.device));
    zero_what_is_new(b.device);
    const moe_ptx_arch arch = moe_arch_of_ptx(moe_device_facts(b.device)->arch);
    CHECK(moe_builder_open(arch.text, NULL, NULL, &b.builder));
    return b;
}

static void bench_close(bench *b) {
    moe_builder_close(b->builder);
    moe_device_close(b->device);
    workbench_remove(b->folder);
}

/* --------------------------------------------------------------------------------------- texts */

static void path_of(char path[128], const char *folder, const char *file) {
    snprintf(path, 128, "%s/%s", folder, file);
}

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("cannot read %s", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    char *text = calloc((size_t)size + 1, 1);
    assert_non_null(text);
    rewind(file);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    fclose(file);
    return text;
}

static void write_text(const char *path, const char *before, size_t length, const char *middle,
                       const char *after) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fprintf(file, "%.*s%s%s", (int)length, before, middle, after);
    assert_int_equal(fclose(file), 0);
}

/* Puts a bug into the copy, or takes it out again. */
static void put_bug(const bench *b, const seeded_bug *bug, bool in) {
    char path[128];
    path_of(path, "templates", bug->file);
    char *text = read_text(path);
    const char *at = strstr(text, bug->right), *behind = at ? at + strlen(bug->right) : "";
    if (!at || strstr(at + 1, bug->right))
        fail_msg("%s: '%s' is %s; find another text of the same meaning", bug->file, bug->right,
                 at ? "there more than once" : "not there any more");
    path_of(path, b->folder, bug->file);
    write_text(path, text, (size_t)(at - text), in ? bug->wrong : bug->right, behind);
    free(text);
}

/* ------------------------------------------------------------------------------------ verdicts */

/* What is said of a candidate: "" where it is right. */
typedef struct finding {
    char text[512];
} finding;

/* What tries the templates of the copy as they are. */
typedef finding (*trier)(const bench *b, const void *context);

static finding found(moe_status status, bool ok, const char *text) {
    finding out = {""};
    if (status || !ok) snprintf(out.text, sizeof out.text, "%s", status ? moe_error_text() : text);
    if (!status && !ok && !*text) fail_msg("a verdict without a word");
    return out;
}

static void try_bugs(bench *b, trier try, const void *context, const char *what,
                     const seeded_bug *bugs, int count) {
    const finding clean = try(b, context);
    if (*clean.text) fail_msg("%s: the shipped template: %s", what, clean.text);
    for (int i = 0; i < count; i++) {
        put_bug(b, &bugs[i], true);
        const finding its = try(b, context);
        print_message("  %s | %s\n", bugs[i].what, its.text);
        if (!strstr(its.text, bugs[i].verdict) || !*its.text)
            fail_msg("%s: %s: the verdict is '%s', should have '%s'", what, bugs[i].what, its.text,
                     bugs[i].verdict);
        put_bug(b, &bugs[i], false);
    }
}

/* ----------------------------------------------------------------------------------------- ops */

typedef struct candidate {
    moe_op_case *c;
    const moe_op *op;
    const char *template, *config;
} candidate;

static const moe_built *build(const bench *b, const candidate *of) {
    const moe_facts *facts = moe_device_facts(b->device);
    const moe_template *t;
    const moe_built *built;
    moe_gen *gen;
    moe_config config;
    moe_source source;
    CHECK(moe_gen_open(b->folder, &gen));
    CHECK(moe_gen_need(gen, of->template, &t));
    CHECK(*of->config ? moe_config_parse(of->config, &config)
                      : moe_template_default(t, of->op, facts, &config));
    CHECK(moe_render(t, of->op, facts, &config, false, &source));
    CHECK(moe_builder_get(b->builder, &source, &built));
    if (built->compiled.outcome != MOE_OUTCOME_OK)
        fail_msg("%s: %s\n%s", of->template, built->compiled.reason, built->compiled.log);
    moe_gen_close(gen);
    return built;
}

static finding try_op(const bench *b, const void *context) {
    const candidate *of = context;
    const moe_built *built = build(b, of);
    moe_trial *trial;
    moe_verdict verdict = {0};
    double ns;
    CHECK(moe_trial_open(of->c, &built->compiled.image, &trial));
    moe_status status = moe_trial_verify(trial, &verdict, &ns);
    const finding out = found(status, verdict.ok, verdict.text);
    moe_trial_close(trial);
    return out;
}

void seeded_try(const char *device, const char *template, const char *config, const char *op_text,
                const seeded_bug *bugs, int count) {
    moe_op op;
    bench b = bench_open(device);
    CHECK(moe_op_parse(op_text, &op));
    candidate of = {.op = &op, .template = template, .config = config};
    CHECK(moe_op_case_open(b.device, &op, 5, &of.c));
    try_bugs(&b, try_op, &of, op_text, bugs, count);
    moe_op_case_close(of.c);
    bench_close(&b);
}

void seeded_use(const char *device, const char *template, const char *config, const char *op_text,
                const seeded_bug *bug, void (*use)(moe_device *device, moe_trial *trial)) {
    moe_op op;
    moe_trial *trial;
    bench b = bench_open(device);
    CHECK(moe_op_parse(op_text, &op));
    candidate of = {.op = &op, .template = template, .config = config};
    put_bug(&b, bug, true);
    CHECK(moe_op_case_open(b.device, &op, 5, &of.c));
    CHECK(moe_trial_open(of.c, &build(&b, &of)->compiled.image, &trial));
    use(b.device, trial);
    moe_trial_close(trial);
    moe_op_case_close(of.c);
    bench_close(&b);
}

/* -------------------------------------------------------------------------------------- layers */

typedef struct layer_candidate {
    moe_layer_case *c;
    const moe_layer *layer;
    int64_t tokens;
} layer_candidate;

static finding try_layer(const bench *b, const void *context) {
    const layer_candidate *of = context;
    const moe_pipeline_info *form = moe_pipeline_plain(of->layer);
    moe_gen *gen;
    moe_plan *plan;
    moe_layer_verdict verdict = {0};
    double ns;
    CHECK(moe_gen_open(b->folder, &gen));
    CHECK(moe_default_plan(b->device, gen, b->builder, of->layer, of->tokens, form, &plan));
    moe_status status = moe_layer_case_verify(of->c, plan, &verdict, &ns);
    const finding out = found(status, verdict.ok, verdict.text);
    moe_plan_destroy(plan);
    moe_gen_close(gen);
    return out;
}

void seeded_try_layer(const char *device, const char *text, int64_t tokens, moe_entry entry,
                      const seeded_bug *bugs, int count) {
    moe_layer layer;
    bench b = bench_open(device);
    CHECK(moe_layer_parse(text, &layer));
    layer_candidate of = {.layer = &layer, .tokens = tokens};
    CHECK(moe_layer_case_open(b.device, &layer, tokens, MOE_ROUTING_UNIFORM, entry, 5, &of.c));
    try_bugs(&b, try_layer, &of, text, bugs, count);
    moe_layer_case_close(of.c);
    bench_close(&b);
}
