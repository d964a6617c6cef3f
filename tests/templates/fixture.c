/* fixture.c - kernels of the shipped templates on a device, for tests. */
#include "fixture.h"

#include "judge/op_case.h"
#include "run/enqueue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void fixture_check(moe_status status, const char *call, const char *file, int line) {
    if (status == MOE_OK) return;
    print_error("%s\n  %s: %s\n", call, moe_status_text(status), moe_error_text());
    _fail(file, line);
}

void fixture_open(fixture *f, const char *device) {
    *f = (fixture){0};
    CHECK(moe_gen_open("templates", &f->gen));
    CHECK(moe_device_open(device, &f->device));
}

void fixture_close(fixture *f) {
    fixture_forget(f);
    free(f->array);
    moe_device_close(f->device);
    moe_gen_close(f->gen);
}

static const moe_template *find_template(fixture *f, const char *name) {
    const moe_template *t = moe_gen_find(f->gen, name);
    if (!t) fail_msg("there is no template %s", name);
    return t;
}

static void set_what(const char *template, fixture_kernel *kernel) {
    char op[MOE_OP_TEXT_SIZE], config[MOE_CONFIG_TEXT_SIZE];
    moe_op_print(&kernel->op, op, sizeof op);
    moe_config_print(&kernel->source.config, config, sizeof config);
    snprintf(kernel->what, sizeof kernel->what, "%s '%s' '%s'", template, op, config);
}

/* Code that this process has made. Seeds change the order of warps but no code, so it is kept. */
typedef struct known_code {
    char hash[MOE_HASH_SIZE];
    moe_compiled compiled;
    struct known_code *before;
} known_code;

static moe_compiled compile(const moe_source *source, const char *arch) {
    static known_code *last;
    char hash[MOE_HASH_SIZE];
    moe_image_hash(source->text, arch, "", hash);
    for (const known_code *m = last; m; m = m->before)
        if (!strcmp(m->hash, hash)) return m->compiled;
    known_code *m = calloc(1, sizeof *m);
    assert_non_null(m);
    CHECK(moe_compile(source, arch, &m->compiled));
    memcpy(m->hash, hash, sizeof hash);
    m->before = last;
    last = m;
    return m->compiled;
}

static void make(fixture *f, const char *template, const moe_op *op, const moe_facts *facts,
                 const char *config, const char *arch, fixture_kernel *out) {
    const moe_template *t = find_template(f, template);
    moe_config chosen;
    *out = (fixture_kernel){.op = *op};
    if (*config)
        CHECK(moe_config_parse(config, &chosen));
    else
        CHECK(moe_template_default(t, op, facts, &chosen));
    CHECK(moe_render(t, op, facts, &chosen, false, &out->source));
    set_what(template, out);
    out->compiled = compile(&out->source, arch);
    if (out->compiled.outcome != MOE_OUTCOME_OK)
        fail_msg("%s: %s\n%s", out->what, out->compiled.reason, out->compiled.log);
}

void fixture_compile(fixture *f, const char *template, const moe_op *op, const moe_facts *facts,
                     const char *config, fixture_kernel *out) {
    make(f, template, op, facts, config, facts->arch, out);
}

void fixture_build(fixture *f, const char *template, const moe_op *op, const char *config,
                   fixture_kernel *out) {
    const moe_facts *facts = moe_device_facts(f->device);
    make(f, template, op, facts, config, moe_arch_of_ptx(facts->arch).text, out);
    CHECK(f->device->class->load(f->device->self, &out->compiled.image, &out->module));
}

void fixture_kernel_free(fixture *f, fixture_kernel *kernel) {
    if (kernel->module) f->device->class->unload(f->device->self, kernel->module);
    moe_source_free(&kernel->source);
    *kernel = (fixture_kernel){0};
}

void fixture_run(fixture *f, const fixture_kernel *kernel, moe_arg_values *args) {
    const moe_launch *launch = &kernel->compiled.image.launch;
    const moe_layer *layer = &kernel->op.layer;
    int64_t tokens = kernel->op.t, sms = moe_device_facts(f->device)->sms;
    args->value[MOE_ARG_tokens] = (uint64_t)tokens;
    args->value[MOE_ARG_scratch] =
        fixture_room(f, (size_t)moe_launch_scratch(launch, layer, tokens, sms));
    const moe_enqueue enqueue = {
        .device = f->device, .module = kernel->module, .launch = launch, .kind = kernel->op.kind,
        .layer = layer, .tokens = tokens, .rows = kernel->rows,
    };
    moe_status status = tokens ? moe_enqueue_launch(&enqueue, args, NULL) : MOE_OK;
    if (status == MOE_OK) status = f->device->class->sync(f->device->self, NULL);
    if (status != MOE_OK) print_error("%s\n", kernel->what);
    CHECK(status);
}

static moe_ptr remember(fixture *f, size_t bytes) {
    moe_ptr made;
    if (f->arrays == f->room) {
        f->room = 2 * f->room + 16;
        f->array = realloc(f->array, (size_t)f->room * sizeof *f->array);
        assert_non_null(f->array);
    }
    CHECK(f->device->class->alloc(f->device->self, bytes, &made));
    f->array[f->arrays++] = made;
    return made;
}

moe_ptr fixture_put(fixture *f, const void *host, size_t bytes) {
    moe_ptr made = remember(f, bytes);
    CHECK(f->device->class->copy_in(f->device->self, made, host, bytes));
    return made;
}

moe_ptr fixture_room(fixture *f, size_t bytes) {
    moe_ptr made = remember(f, bytes);
    CHECK(f->device->class->poison(f->device->self, made, bytes));
    return made;
}

void fixture_get(fixture *f, moe_ptr from, void *host, size_t bytes) {
    CHECK(f->device->class->copy_out(f->device->self, host, from, bytes));
}

void fixture_forget(fixture *f) {
    while (f->arrays > 0) CHECK(f->device->class->free(f->device->self, f->array[--f->arrays]));
}

void fixture_verify(fixture *f, const char *template, const moe_op *op, const char *config) {
    fixture_kernel kernel;
    moe_op_case *c;
    moe_trial *trial;
    moe_verdict verdict;
    double ns;
    fixture_compile(f, template, op, moe_device_facts(f->device), config, &kernel);
    for (int i = 0; i < kernel.compiled.image.launch.kernels; i++)
        assert_int_equal(kernel.compiled.image.launch.kernel[i].spills, 0);
    CHECK(moe_op_case_open(f->device, op, 5, &c));
    CHECK(moe_trial_open(c, &kernel.compiled.image, &trial));
    moe_status status = moe_trial_verify(trial, &verdict, &ns);
    if (status || !verdict.ok)
        fail_msg("%s: %s", kernel.what, status ? moe_error_text() : verdict.text);
    moe_trial_close(trial);
    moe_op_case_close(c);
    fixture_kernel_free(f, &kernel);
}
