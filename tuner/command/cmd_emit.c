/* cmd_emit.c - moetune emit: the code of one kernel, at any stage. */
#include "command/command.h"
#include "compile/compile.h"

#include <argp.h>
#include <stdio.h>
#include <string.h>

typedef enum stage { STAGE_SOURCE, STAGE_PTX, STAGE_CUBIN, STAGE_LOG } stage;

typedef struct options {
    const char *kind, *op, *config;
    const char *template_name, *templates, *device;
    stage stage;
    bool plain;
} options;

enum { KEY_TEMPLATE = 256, KEY_TEMPLATES, KEY_DEVICE, KEY_PTX, KEY_CUBIN, KEY_LOG, KEY_PLAIN };

static const struct argp_option option_table[] = {
    {"template", KEY_TEMPLATE, "NAME", 0, "by this template, not the first that fits", 0},
    {"templates", KEY_TEMPLATES, "DIR", 0, "folder of templates", 0},
    {"device", KEY_DEVICE, "DEVICE", 0,
     "auto, cuda:N, sim:CHIP, an arch such as sm_90a, or a line of facts (default: auto)", 0},
    {"ptx", KEY_PTX, NULL, 0, "compile, and write the PTX", 0},
    {"cubin", KEY_CUBIN, NULL, 0, "compile, and write the cubin", 0},
    {"log", KEY_LOG, NULL, 0, "compile, and write the launch rule and the compiler's log", 0},
    {"plain", KEY_PLAIN, NULL, 0, "leave the #line marks out", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *value, struct argp_state *state) {
    options *o = state->input;
    const char **positional[] = {&o->kind, &o->op, &o->config};
    switch (key) {
    case KEY_TEMPLATE: o->template_name = value; break;
    case KEY_TEMPLATES: o->templates = value; break;
    case KEY_DEVICE: o->device = value; break;
    case KEY_PTX: o->stage = STAGE_PTX; break;
    case KEY_CUBIN: o->stage = STAGE_CUBIN; break;
    case KEY_LOG: o->stage = STAGE_LOG; break;
    case KEY_PLAIN: o->plain = true; break;
    case ARGP_KEY_ARG:
        if (state->arg_num >= 3) argp_error(state, "too many arguments; quote the op's text");
        *positional[state->arg_num] = value;
        break;
    case ARGP_KEY_END:
        if (state->arg_num < 2) argp_error(state, "an op's kind and its text are needed");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    option_table, parse_option, "OP 'OP TEXT' ['CONFIG TEXT']",
    "Writes the code of one kernel to standard output.\n\n"
    "  moetune emit gemm_up 'd=1024 f=512 e=32 k=8 act=swiglu' 'bm=64 bn=128' --device sm_80\n\n"
    "What the config leaves out has the template's default value. The op's text may leave out t, "
    "which only the default depends on (t=1).",
    NULL, NULL, NULL,
};

/* The op's text with its kind in front and t=1 where it names no token count. */
static moe_status read_op(const options *o, moe_op *op) {
    char text[2 * MOE_OP_TEXT_SIZE];
    const moe_field *t = moe_field_find(moe_op_fields, "t");
    size_t kind = strlen(o->kind);
    bool whole = !strncmp(o->op, o->kind, kind) && o->op[kind] == ' ';
    const char *fields = whole ? o->op + kind + 1 : o->op;
    moe_text out = moe_text_start(text, sizeof text);
    moe_text_add(&out, "%s ", o->kind);
    if (!moe_text_has_key(fields, "t")) moe_text_add(&out, "%s=1 ", t->name);
    moe_text_add(&out, "%s", fields);
    if (out.cut) return moe_fail(MOE_E_PARSE, "op: the text is too long");
    return moe_op_parse(text, op);
}

/* By the template asked for, or the first that serves the op and takes the config. */
static moe_status render(const moe_gen *gen, const options *o, const moe_op *op,
                         const moe_facts *facts, const moe_config *config, moe_source *out) {
    char why[1024], reason[256];
    const moe_template *t;
    moe_text reasons = moe_text_start(why, sizeof why);
    moe_status status = MOE_E_NOT_FOUND;
    if (o->template_name) {
        MOE_TRY(moe_gen_need(gen, o->template_name, &t));
        return moe_render(t, op, facts, config, o->plain, out);
    }
    for (int i = 0; i < moe_gen_count(gen); i++) {
        t = moe_gen_at(gen, i);
        if (!moe_template_serves(t, op, facts, reason, sizeof reason)) {
            moe_text_add(&reasons, "%s%s", i ? "; " : "", reason);
            continue;
        }
        status = moe_render(t, op, facts, config, o->plain, out);
        if (status != MOE_E_INVALID) return status;
    }
    return status == MOE_E_NOT_FOUND ? moe_fail(status, "no template serves this: %s", why)
                                     : status;
}

static int write_out(const void *data, size_t size) {
    if (fwrite(data, 1, size, stdout) == size && !fflush(stdout)) return COMMAND_GOOD;
    perror("moetune: standard output");
    return COMMAND_BROKEN;
}

static int write_log(const moe_compiled *compiled) {
    char launch[2048];
    moe_launch_print(&compiled->image.launch, launch, sizeof launch);
    if (compiled->outcome == MOE_OUTCOME_OK) printf("%s\n", launch);
    return write_out(compiled->log, strlen(compiled->log));
}

static int emit_compiled(const options *o, const moe_source *source, const char *arch) {
    moe_compiled compiled;
    moe_status status = moe_compile(source, arch, &compiled);
    int result = COMMAND_FAILED;
    if (status) return command_fail(status);
    if (o->stage == STAGE_LOG) result = write_log(&compiled);
    else if (compiled.outcome == MOE_OUTCOME_OK && o->stage == STAGE_PTX)
        result = write_out(compiled.ptx, strlen(compiled.ptx));
    else if (compiled.outcome == MOE_OUTCOME_OK)
        result = write_out(compiled.cubin, compiled.image.cubin_size);
    if (compiled.outcome != MOE_OUTCOME_OK) {
        fprintf(stderr, "moetune: %s: %s\n", moe_outcome_names[compiled.outcome], compiled.reason);
        result = COMMAND_FAILED;
    }
    moe_compiled_free(&compiled);
    return result;
}

static moe_status make_source(const options *o, const moe_facts *facts, moe_source *out) {
    moe_op op;
    moe_config config;
    moe_gen *gen;
    MOE_TRY(read_op(o, &op));
    MOE_TRY(moe_config_parse(o->config, &config));
    MOE_TRY(command_templates(o->templates, &gen));
    moe_status status = render(gen, o, &op, facts, &config, out);
    moe_gen_close(gen);
    return status;
}

int cmd_emit(int argc, char **argv) {
    options o = {.config = "", .device = "auto"};
    moe_facts facts;
    moe_source source;
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    moe_status status = command_facts(o.device, &facts);
    if (!status) status = make_source(&o, &facts, &source);
    if (status) return command_fail(status);
    int result = o.stage == STAGE_SOURCE ? write_out(source.text, source.size)
                                         : emit_compiled(&o, &source, facts.arch);
    moe_source_free(&source);
    return result;
}
