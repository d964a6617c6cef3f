/* host.h - a Lua state that cannot hurt: memory, instruction and time limits, and errors as one
 * line with the template's position.
 *
 * All use of Lua happens inside gen_host_run, where an error jumps out to the protected call. C
 * code in there therefore owns nothing but what hangs on the host. */
#ifndef GEN_HOST_H
#define GEN_HOST_H

#include "core/status.h"

#include <lua.h>

enum { GEN_POSITION_SIZE = 160, GEN_LABEL_SIZE = 64 };

/* Limits of one protected call. */
#define GEN_STEPS INT64_C(50000000)        /* Lua instructions, and what C functions charge */
#define GEN_MEMORY ((size_t)64 << 20)      /* bytes of a whole state */
#define GEN_SECONDS 20                     /* CPU time: the last resort, far beyond the steps */

/* Which limit stopped a call. */
typedef enum gen_trip { GEN_TRIP_NONE, GEN_TRIP_STEPS, GEN_TRIP_TIME, GEN_TRIP_SYSTEM } gen_trip;

typedef struct gen_host {
    lua_State *L;
    char label[GEN_LABEL_SIZE];  /* what is blamed when no line is known: "templates/x.lua" */
    size_t folder;               /* bytes of the label up to and with its slash */
    size_t used;                 /* bytes allocated */
    int64_t steps;               /* left to the running call */
    int64_t deadline;            /* CPU time of the thread at which it must end, ns */
    bool running;                /* limits are on */
    gen_trip trip;
    char position[GEN_POSITION_SIZE]; /* blamed for what happens: "templates/x.cu:12", or "" */
    struct gen_render *render;   /* the rendering under way, or NULL: see render.h */
} gen_host;

/* A state with nothing in it. `label` names the template in errors. MOE_E_MEMORY. */
moe_status gen_host_open(const char *label, gen_host **out);
void gen_host_close(gen_host *host);

/* Calls `function(L)` protected and with fresh limits (`steps` of them); `job` is its argument, as
 * light userdata. MOE_E_TEMPLATE with one line that starts with the template's position. */
moe_status gen_host_run(gen_host *host, lua_CFunction function, void *job, int64_t steps);

gen_host *gen_host_of(lua_State *L);

/* Charges work that Lua's instruction count does not see. Raises an error past the limit. */
void gen_charge(lua_State *L, double steps);

#endif
