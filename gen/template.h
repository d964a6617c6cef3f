/* template.h - a template in memory: its two files, its identity, and the Lua state that answers
 * for it. */
#ifndef GEN_TEMPLATE_H
#define GEN_TEMPLATE_H

#include "file.h"
#include "gen.h"

enum { GEN_MAX_INCLUDES = 64, GEN_MAX_BROKEN = 16 };

/* A template that cannot be used, and why. */
typedef struct gen_broken {
    char name[GEN_STEM_SIZE];
    char why[512]; /* "templates/x.lua:12: ..." */
} gen_broken;

struct moe_template {
    const moe_gen *gen;
    char name[GEN_STEM_SIZE];
    char id[MOE_TEMPLATE_ID_SIZE]; /* name@hash8 */
    uint64_t hash;       /* of all text that can reach a source of it */
    gen_file lua, cu;
    int64_t max_slots; /* 0: any number */
    bool op[MOE_OP_COUNT];
    int64_t arch[2];     /* lowest and highest sm it serves */
    uint64_t includes;   /* files of gen->include that its text names, itself or through others */
    gen_host *host;      /* answers serves, default, cost; spaces and renderings open their own */
};

struct moe_gen {
    char label[GEN_LABEL_SIZE]; /* the folder's own name */
    gen_file include[GEN_MAX_INCLUDES];
    int includes;
    moe_template **template;    /* in order of name */
    int count;
    gen_broken broken[GEN_MAX_BROKEN]; /* templates that were left out; further ones are not
                                          noted */
    int broken_count;
    bool any_order;             /* see moe_gen_allow_any_order */
};

/* Loads stem.lua and stem.cu. MOE_E_TEMPLATE, MOE_E_IO, MOE_E_MEMORY. */
moe_status gen_template_open(const moe_gen *gen, const char *folder, const char *stem,
                             moe_template **out);
void gen_template_close(moe_template *t);

/* MOE_OK if the template makes kernels for this op on this device; MOE_E_INVALID with the reason if
 * not; MOE_E_TEMPLATE if it cannot say. */
moe_status gen_template_check(const moe_template *t, const moe_op *op, const moe_facts *facts);

/* A fresh state with the template's .lua loaded, so that nothing it did before can matter. */
moe_status gen_template_host(const moe_template *t, gen_host **out);

#endif
