/* ask.h - what a template's functions answer, as C structs.
 *
 * All of these run inside gen_host_run and raise errors there. The template's table is that of the
 * registry. */
#ifndef GEN_ASK_H
#define GEN_ASK_H

#include "gen.h"
#include "params.h"

#include <lua.h>

enum { GEN_REASON_SIZE = 256 };

/* Who asks what: the arguments of the template's functions. */
typedef struct gen_question {
    const moe_op *op;
    const moe_facts *facts;
    const moe_config *config; /* NULL where the function takes none */
    const moe_launch *built;  /* cost: as compiled, or NULL */
} gen_question;

/* params */
void gen_ask_params(lua_State *L, const gen_question *question, gen_params *out);

/* supports and require; a template without the function allows everything. `reason` holds
 * GEN_REASON_SIZE bytes. */
bool gen_ask_supports(lua_State *L, const gen_question *question, char *reason);
bool gen_ask_require(lua_State *L, const gen_question *question, char *reason);

/* The same as gen_ask_require, for those who ask often: p, c and d stand at these indices. */
bool gen_call_require(lua_State *L, int p, int c, int d, char *reason);

/* default: all parameters, in order. Legality is not checked here. */
void gen_ask_default(lua_State *L, const gen_question *question, const gen_params *params,
                     moe_config *out);

/* Raises an error unless a default is one of the values and legal. */
void gen_check_default(lua_State *L, const gen_question *question, const gen_params *params,
                       const moe_config *config);

/* launch: kernels are called `symbol`, or `symbol`_name where they have names. */
void gen_ask_launch(lua_State *L, const gen_question *question, const char *symbol,
                    moe_launch *out);

/* cost */
void gen_ask_cost(lua_State *L, const gen_question *question, moe_cost *out);

#endif
