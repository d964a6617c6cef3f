/* sim.h - a simulated GPU that executes PTX and checks what it executes.
 *
 *     sim_context *gpu;   sim_open(facts, &(sim_options){.checks = true}, &gpu);
 *     sim_module *module; sim_load(gpu, ptx, size, &module);
 *     int entry;          sim_find_entry(module, "scale", &entry);
 *     uint64_t x;         sim_alloc(gpu, 4096, &x);
 *     sim_launch(gpu, module, entry, &dims, args, sizeof args);
 *
 * A context belongs to one thread at a time; launches run in parallel inside. Everything is
 * synchronous. Functions return MOE_E_FAULT, with the findings as the message, where a kernel
 * misbehaved; the context stays usable. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "device/device.h"
#include "model/counters.h"

typedef struct sim_context sim_context;
typedef struct sim_module sim_module;

typedef struct sim_options {
    uint64_t seed; /* 0: warps run in order; else seeded random order and time slices */
    int threads;   /* that run blocks; 0 = one for each core */
    bool checks;   /* races, unwritten memory; bounds and alignment are always checked */
    bool portable; /* true: do without the host's wider instruction sets; same results */
    uint64_t most_instructions; /* of warps, for a launch to end in; 0: what a block may have */
    double most_seconds;        /* the same in time; 0: any */
} sim_options;

/* MOE_E_MEMORY. `facts` is copied. */
moe_status sim_open(const moe_facts *facts, const sim_options *options, sim_context **out);

/* Closes the context with all memory; its modules must be unloaded before. NULL is a no-op. */
void sim_close(sim_context *context);

const moe_facts *sim_facts(const sim_context *context);

/* ---- memory (memory.c). Addresses are allocation number << 36 | offset, sizes are exact: one byte
 * past the end of an allocation is out of bounds. New memory is 0xff and counts as unwritten. */

moe_status sim_alloc(sim_context *context, size_t bytes, uint64_t *out);
moe_status sim_free(sim_context *context,
                    uint64_t address); /* MOE_E_FAULT: no such allocation, freed */
moe_status sim_copy_in(sim_context *context, uint64_t to, const void *host, size_t bytes);
moe_status sim_copy_out(sim_context *context, void *host, uint64_t from, size_t bytes);
moe_status sim_fill(sim_context *context, uint64_t to, int byte, size_t bytes);
moe_status sim_poison(sim_context *context, uint64_t to, size_t bytes); /* unwritten again */

/* ---- modules (module.c) */

/* Parses PTX and gives its variables memory. MOE_E_PARSE. */
moe_status sim_load(sim_context *context, const char *ptx, size_t size, sim_module **out);
void sim_unload(sim_context *context, sim_module *module);

int sim_entry_count(const sim_module *module);
const char *sim_entry_name(const sim_module *module, int entry);

/* An entry by name, decoded with all that it calls; others of the module may hold what the
 * simulator does not know. MOE_E_NOT_FOUND: there is none; MOE_E_UNSUPPORTED names the instruction
 * and its PTX line; MOE_E_PARSE. */
moe_status sim_find_entry(sim_module *module, const char *name, int *out);

typedef struct sim_parameter {
    const char *name;
    const char *type; /* "u64"; of a struct or an array, NULL */
    uint32_t offset, size, align; /* bytes, in the parameter buffer */
} sim_parameter;

typedef struct sim_entry {
    const char *name;
    uint32_t parameters;
    const sim_parameter *parameter;
    uint32_t args_size;     /* bytes of the whole parameter buffer */
    uint32_t static_shared; /* bytes */
    uint32_t instructions;
} sim_entry;

/* Of an entry that was found. */
const sim_entry *sim_entry_info(const sim_module *module, int entry);

/* ---- launches (launch.c) */

/* Runs a grid to its end. MOE_E_INVALID for impossible dims or too few argument bytes; MOE_E_FAULT
 * with the first findings as the text. */
moe_status sim_launch(sim_context *context, const sim_module *module, int entry,
                      const moe_dims *dims, const void *args, size_t args_size);

/* What the last launch executed; valid until the next. */
const sim_counters *sim_last_counters(const sim_context *context);

/* How often each source line was executed by warps in the last launch: count rows, busiest
 * first. */
typedef struct sim_line {
    const char *file; /* NULL: the line is one of the PTX text */
    uint32_t line;
    uint64_t executed;
} sim_line;
moe_status sim_last_profile(const sim_context *context, const sim_line **lines, size_t *count);

#endif
