/* gen.h - the generator: templates in, CUDA source out. Pure text; knows no device or database.
 *
 *     moe_gen *gen;              moe_gen_open("templates", &gen);
 *     const moe_template *t      = moe_gen_find(gen, "grouped_gemm");
 *     moe_space *space;          moe_space_open(t, &op, &facts, &space);
 *     moe_config config;         moe_space_config(space, 17, &config);
 *     moe_source source;         moe_render(t, &op, &facts, &config, &source);
 *
 * A generator belongs to one thread at a time. Same input, same bytes out. */
#ifndef MOE_GEN_H
#define MOE_GEN_H

#include "core/config.h"
#include "core/facts.h"
#include "core/launch.h"
#include "core/op.h"
#include "core/record.h"

typedef struct moe_gen moe_gen;
typedef struct moe_template moe_template;
typedef struct moe_space moe_space;

/* Loads every NAME.lua + NAME.cu of a folder. A template that has a mistake, or one file only, is
 * left out, so that one that somebody is writing does not stop the others: see moe_gen_broken.
 * MOE_E_NOT_FOUND (no folder, no template in it), MOE_E_TEMPLATE (none is sound: what is wrong with
 * the first, "templates/x.lua:12: ..."). */
moe_status moe_gen_open(const char *folder, moe_gen **out);
void moe_gen_close(moe_gen *gen);

/* Templates in order of name. */
int moe_gen_count(const moe_gen *gen);
const moe_template *moe_gen_at(const moe_gen *gen, int index);

/* Whether those who choose among all configs may take one whose sums depend on the order of
 * arrival; false at first. A config that is named may be any. */
void moe_gen_allow_any_order(moe_gen *gen, bool allowed);
bool moe_gen_any_order(const moe_gen *gen);

/* What is wrong with the templates that were left out, one after the other; NULL from there on. */
const char *moe_gen_broken(const moe_gen *gen, int index);

/* By "name" or "name@hash8" (the hash must then match). NULL if there is none. */
const moe_template *moe_gen_find(const moe_gen *gen, const char *name);

/* The same for a template that somebody asks for. MOE_E_NOT_FOUND lists those there are;
 * MOE_E_TEMPLATE says what is wrong with it. */
moe_status moe_gen_need(const moe_gen *gen, const char *name, const moe_template **out);

const char *moe_template_name(const moe_template *t); /* grouped_gemm */
const char *moe_template_id(const moe_template *t);   /* grouped_gemm@1f3c9a0b */

/* True if the template makes kernels for this op on this device; if not, `reason` (size bytes, may
 * be NULL) says why: another op, an arch out of its range, or its own `supports` function. */
bool moe_template_serves(const moe_template *t, const moe_op *op, const moe_facts *facts,
                         char *reason, size_t size);

/* What is legal for (template, op, device). Indices 0..count-1 enumerate the legal configs in the
 * order of the parameters' values, last parameter fastest. */
moe_status moe_space_open(const moe_template *t, const moe_op *op, const moe_facts *facts,
                          moe_space **out);
void moe_space_close(moe_space *space);
int64_t moe_space_count(const moe_space *space); /* legal configs */
int64_t moe_space_total(const moe_space *space); /* before `require` */
moe_status moe_space_config(const moe_space *space, int64_t index, moe_config *out);
/* MOE_E_INVALID with the reason where `config` is not legal. */
moe_status moe_space_index(const moe_space *space, const moe_config *config, int64_t *out);
/* Legal configs that differ in one parameter, by the next legal value up or down. Returns how many
 * of at most `room` indices were written. */
int moe_space_neighbours(const moe_space *space, int64_t index, int64_t *out, int room);

/* The template's default config for this op and device; always legal, or MOE_E_TEMPLATE. */
moe_status moe_template_default(const moe_template *t, const moe_op *op, const moe_facts *facts,
                                moe_config *out);

/* The template's own estimate for a config: work, and time by its cost function's rule. `built` is
 * the launch as compiled, with its kernels' resources, or NULL before that. */
typedef struct moe_cost {
    double flops; /* useful FLOPs of the op */
    double bytes; /* compulsory DRAM bytes */
    double ns;    /* predicted time on the device, for ranking; 0 if the template gives none */
} moe_cost;
moe_status moe_template_cost(const moe_template *t, const moe_op *op, const moe_facts *facts,
                             const moe_config *config, const moe_launch *built, moe_cost *out);

/* False where a config's sums depend on the order of arrival. */
moe_status moe_template_repeats(const moe_template *t, const moe_op *op, const moe_facts *facts,
                                const moe_config *config, bool *out);

/* Generated CUDA with what is needed to compile, launch and judge it. */
typedef struct moe_source {
    char *text;        /* owned; freed by moe_source_free */
    size_t size;       /* bytes, without the NUL */
    char template_id[MOE_TEMPLATE_ID_SIZE];
    moe_config config; /* complete, in the template's order */
    moe_launch launch; /* symbols moe_<op>_<hash12>[_<kernel>], resources still 0 */
    moe_cost cost;
} moe_source;

/* `config` may leave out parameters: they take the default's value. MOE_E_INVALID (not legal, with
 * the reason), MOE_E_TEMPLATE (with template and line). `plain` leaves the #line marks out. */
moe_status moe_render(const moe_template *t, const moe_op *op, const moe_facts *facts,
                      const moe_config *config, bool plain, moe_source *out);
void moe_source_free(moe_source *source);

#endif
