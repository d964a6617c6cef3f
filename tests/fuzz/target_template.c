/* target_template.c - the two files of a template as one text: the .lua, a line of '=', the .cu. */
#define _GNU_SOURCE /* memmem */
#include "targets.h"

#include "gen.h"

#include <string.h>

static const char mark[] = "\n====\n";

/* Asks for all that a tuner does: a space, the default config, its source. */
static bool use(const moe_template *t) {
    moe_op op;
    moe_facts facts;
    moe_config config;
    moe_space *space;
    moe_source source;
    fuzz_check(!moe_op_parse("combine t=8 d=64 e=8 k=2", &op), "no op", moe_error_text());
    fuzz_check(!moe_facts_parse("sm_90a \"test\" sms=10 smem=232448", &facts), "no facts",
               moe_error_text());
    if (!moe_template_serves(t, &op, &facts, NULL, 0)) return false;
    if (!moe_space_open(t, &op, &facts, &space)) moe_space_close(space);
    if (moe_template_default(t, &op, &facts, &config)) return false;
    if (moe_render(t, &op, &facts, &config, false, &source)) return false;
    moe_source_free(&source);
    return true;
}

bool fuzz_template(const char *data, size_t size) {
    moe_gen *gen;
    const char *cut = memmem(data, size, mark, sizeof mark - 1);
    size_t lua = cut ? (size_t)(cut - data) + 1 : size;
    fuzz_file("x.lua", data, lua);
    fuzz_file("x.cu", cut ? cut + sizeof mark - 1 : "", cut ? size - lua - sizeof mark + 2 : 0);
    if (moe_gen_open(fuzz_folder(), &gen)) return false;
    bool rendered = use(moe_gen_at(gen, 0));
    moe_gen_close(gen);
    return rendered;
}
