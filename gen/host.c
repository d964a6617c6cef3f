/* host.c - a Lua state that cannot hurt: limits, protected calls, errors with positions. */
#include "host.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HOOK_PERIOD = 1000, BYTES_A_STEP = 64, MESSAGE_SIZE = 1500 };

gen_host *gen_host_of(lua_State *L) { return *(gen_host **)lua_getextraspace(L); }

/* Notes where the innermost Lua function stands; without one, what was noted before stays.
 * Allocates nothing, so that the allocator may ask. */
static void note_position(gen_host *host) {
    lua_Debug frame;
    for (int level = 0; host->L && lua_getstack(host->L, level, &frame); level++) {
        lua_getinfo(host->L, "Sl", &frame);
        if (frame.currentline <= 0) continue;
        snprintf(host->position, sizeof host->position, "%s:%d", frame.short_src,
                 frame.currentline);
        return;
    }
}

static void trip(gen_host *host, gen_trip why) {
    if (host->trip) return;
    host->trip = why;
    note_position(host);
}

/* True if the state may grow by this much. Long strings are built without many instructions, so
 * memory traffic counts as steps as well. */
static bool admit(gen_host *host, size_t growth) {
    if (!host->running) return true;
    host->steps -= (int64_t)(growth / BYTES_A_STEP);
    if (host->steps < 0) {
        trip(host, GEN_TRIP_STEPS);
        return false;
    }
    if (host->used + growth <= GEN_MEMORY) return true;
    note_position(host); /* Lua may still make room by collecting garbage, so nothing trips yet */
    return false;
}

static void *allocate(void *user, void *old, size_t old_size, size_t size) {
    gen_host *host = user;
    if (!old) old_size = 0; /* it is a type then */
    if (size == 0) {
        free(old);
        host->used -= old_size;
        return NULL;
    }
    if (size > old_size && !admit(host, size - old_size)) return NULL;
    void *block = realloc(old, size);
    if (!block) {
        if (size <= old_size) return old; /* Lua relies on shrinking */
        trip(host, GEN_TRIP_SYSTEM);
        return NULL;
    }
    host->used += size - old_size;
    return block;
}

static int stop(lua_State *L, gen_trip why) {
    trip(gen_host_of(L), why);
    return luaL_error(L, "stopped");
}

static int64_t cpu_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void count(lua_State *L, lua_Debug *frame) {
    (void)frame;
    gen_host *host = gen_host_of(L);
    host->steps -= HOOK_PERIOD;
    if (host->steps < 0) stop(L, GEN_TRIP_STEPS);
    if (cpu_time() > host->deadline) stop(L, GEN_TRIP_TIME);
}

void gen_charge(lua_State *L, double steps) {
    gen_host *host = gen_host_of(L);
    if (steps > (double)host->steps) stop(L, GEN_TRIP_STEPS);
    host->steps -= (int64_t)steps;
}

/* The error object becomes "templates/x.lua:12: message". What a C function raised without knowing
 * a line gets that of the innermost Lua function. */
static int explain(lua_State *L) {
    gen_host *host = gen_host_of(L);
    host->running = false; /* the message itself must not meet the limit again */
    const char *message = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : NULL;
    if (!message)
        message = lua_pushfstring(L, "error(...) got a %s; give it a string", luaL_typename(L, 1));
    if (!strncmp(message, host->label, host->folder)) return 1;
    if (!host->trip) note_position(host);
    lua_pushfstring(L, "%s: %s", host->position[0] ? host->position : host->label, message);
    return 1;
}

moe_status gen_host_open(const char *label, gen_host **out) {
    gen_host *host = calloc(1, sizeof *host);
    if (!host) return moe_fail(MOE_E_MEMORY, "%s: out of memory", label);
    snprintf(host->label, sizeof host->label, "%s", label);
    const char *slash = strchr(host->label, '/');
    host->folder = slash ? (size_t)(slash - host->label) + 1 : strlen(host->label);
    lua_State *L = lua_newstate(allocate, host);
    if (!L) {
        free(host);
        return moe_fail(MOE_E_MEMORY, "%s: out of memory", label);
    }
    *(gen_host **)lua_getextraspace(L) = host;
    host->L = L;
    lua_sethook(L, count, LUA_MASKCOUNT, HOOK_PERIOD);
    *out = host;
    return MOE_OK;
}

void gen_host_close(gen_host *host) {
    if (!host) return;
    lua_close(host->L);
    free(host);
}

static moe_status fail_limit(const gen_host *host, const char *what) {
    return moe_fail(MOE_E_TEMPLATE, "%s: %s",
                    host->position[0] ? host->position : host->label, what);
}

static moe_status report(gen_host *host, int result) {
    if (host->trip == GEN_TRIP_SYSTEM)
        return moe_fail(MOE_E_MEMORY, "%s: out of memory", host->label);
    if (host->trip == GEN_TRIP_STEPS)
        return fail_limit(host, "stopped after too many instructions; look for an endless loop");
    if (host->trip == GEN_TRIP_TIME)
        return fail_limit(host, "stopped after too much time; look for an endless loop");
    if (result == LUA_OK) return MOE_OK;
    if (result == LUA_ERRMEM)
        return fail_limit(host, "needs more than 64 MiB of memory; look for a string, table or "
                                "recursion that grows without end");
    const char *message = lua_tostring(host->L, -1);
    if (!message) message = "failed without a message";
    int line = (int)strcspn(message, "\r\n");
    bool placed = !strncmp(message, host->label, host->folder);
    return moe_fail(MOE_E_TEMPLATE, "%s%s%.*s", placed ? "" : host->label, placed ? "" : ": ",
                    line < MESSAGE_SIZE ? line : MESSAGE_SIZE, message);
}

moe_status gen_host_run(gen_host *host, lua_CFunction function, void *job, int64_t steps) {
    lua_State *L = host->L;
    lua_settop(L, 0);
    lua_pushcfunction(L, explain);
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, job);
    host->steps = steps;
    host->deadline = cpu_time() + GEN_SECONDS * INT64_C(1000000000);
    host->trip = GEN_TRIP_NONE;
    host->position[0] = '\0';
    host->running = true;
    int result = lua_pcall(L, 1, 0, 1);
    host->running = false;
    moe_status status = report(host, result);
    lua_settop(L, 0);
    return status;
}
