/* module.c - PTX text as something that can be launched: module variables in memory, and those
 * entries decoded that somebody asks for. */
#include "machine/engine.h"

#include <stdlib.h>
#include <string.h>

struct sim_module {
    ptx_module *ptx;
    sim_isa isa;
    int entries;
    ptx_function **function; /* of each entry */
    sim_entry *entry;
    sim_kernel **kernel; /* NULL: not decoded yet */
};

static ptx_variable *find_variable(const ptx_module *ptx, const char *name) {
    for (uint32_t i = 0; i < ptx->variables; i++)
        if (strcmp(ptx->variable[i]->name, name) == 0) return ptx->variable[i];
    return NULL;
}

static moe_status place_variable(sim_context *context, ptx_variable *v) {
    uint64_t offset;
    sim_allocation *a;

    if (v->external) return MOE_OK; /* without an address; whoever names it is refused */
    MOE_TRY(sim_memory_alloc(&context->memory, v->size, &v->address));
    a = sim_allocation_at(&context->memory, v->address);
    offset = v->address & ((1ull << SIM_ADDRESS_SHIFT) - 1);
    if (v->init) memcpy(a->bytes + offset, v->init, v->size);
    else memset(a->bytes + offset, 0, v->size);
    a->readonly = v->space == SIM_CONST;
    sim_written_set(a, offset, v->size);
    return MOE_OK;
}

static moe_status relocate(sim_context *context, const ptx_module *ptx, const ptx_variable *v) {
    for (const ptx_relocation *r = v->relocations; r; r = r->next) {
        const ptx_variable *target = find_variable(ptx, r->symbol);
        if (!target)
            return moe_fail(MOE_E_UNSUPPORTED, "variable %s is set to the address of %s", v->name,
                            r->symbol);
        uint64_t value = target->address + (uint64_t)r->addend;
        memcpy(sim_allocation_at(&context->memory, v->address)->bytes + r->at, &value,
               sizeof value);
    }
    return MOE_OK;
}

/* Every variable of the module and of its functions, from *at = 0 on; NULL behind the last. A
 * function declares .global and .const variables for itself, too. */
typedef struct variable_place {
    uint32_t function, variable; /* function 0: the module, 1: its function 0, ... */
} variable_place;

static ptx_variable *next_variable(const ptx_module *ptx, variable_place *at) {
    for (; at->function <= ptx->functions; *at = (variable_place){at->function + 1, 0}) {
        const ptx_function *f = at->function ? &ptx->function[at->function - 1] : NULL;
        uint32_t count = f ? f->variables : ptx->variables;
        ptx_variable **list = f ? f->variable : ptx->variable;
        while (at->variable < count) {
            ptx_variable *v = list[at->variable++];
            if (v->space == SIM_GLOBAL || v->space == SIM_CONST) return v;
        }
    }
    return NULL;
}

static moe_status place_variables(sim_context *context, const ptx_module *ptx) {
    ptx_variable *v;

    for (variable_place at = {0}; (v = next_variable(ptx, &at));)
        MOE_TRY(place_variable(context, v));
    for (variable_place at = {0}; (v = next_variable(ptx, &at));)
        MOE_TRY(relocate(context, ptx, v));
    return MOE_OK;
}

static moe_status describe_entry(const ptx_function *f, const sim_kernel *k, ptx_module *ptx,
                                 sim_entry *out) {
    sim_parameter *p = sim_arena_alloc(&ptx->arena, (f->parameters + 1) * sizeof *p);

    if (!p) return moe_fail(MOE_E_MEMORY, "out of memory for a module");
    for (uint32_t i = 0; i < f->parameters; i++) {
        const ptx_variable *v = f->variable[f->results + i];
        p[i] = (sim_parameter){.name = v->name,
                               .type = v->array ? NULL : v->type,
                               .offset = (uint32_t)v->address,
                               .size = (uint32_t)v->size,
                               .align = v->align};
    }
    *out = (sim_entry){.name = f->name,
                       .parameters = f->parameters,
                       .parameter = p,
                       .args_size = k->args_size,
                       .static_shared = k->shared_bytes,
                       .instructions = k->count};
    return MOE_OK;
}

/* The entries of a module, with nothing decoded. */
static moe_status list_entries(const sim_context *context, sim_module *module) {
    ptx_module *ptx = module->ptx;
    size_t room = ptx->functions + 1;

    module->function = sim_arena_alloc(&ptx->arena, room * sizeof *module->function);
    module->entry = sim_arena_alloc(&ptx->arena, room * sizeof *module->entry);
    module->kernel = sim_arena_alloc(&ptx->arena, room * sizeof *module->kernel);
    module->isa = (sim_isa){.spellings = sim_spellings_make(&ptx->arena),
                            .handlers = sim_handlers(context->options.portable)};
    if (!module->function || !module->entry || !module->kernel || !module->isa.spellings)
        return moe_fail(MOE_E_MEMORY, "out of memory for a module");
    for (uint32_t i = 0; i < ptx->functions; i++)
        if (ptx->function[i].entry && ptx->function[i].body)
            module->function[module->entries++] = &ptx->function[i];
    return MOE_OK;
}

moe_status sim_load(sim_context *context, const char *ptx, size_t size, sim_module **out) {
    sim_module *module = calloc(1, sizeof *module);
    moe_status status;

    if (!module) return moe_fail(MOE_E_MEMORY, "out of memory for a module");
    status = ptx_parse(ptx, size, &module->ptx);
    if (status == MOE_OK) status = place_variables(context, module->ptx);
    if (status == MOE_OK) status = list_entries(context, module);
    if (status == MOE_OK) *out = module;
    else sim_unload(context, module);
    return status;
}

void sim_unload(sim_context *context, sim_module *module) {
    if (!module) return;
    ptx_variable *v;
    for (variable_place at = {0}; module->ptx && (v = next_variable(module->ptx, &at));)
        if (v->address) sim_free(context, v->address);
    for (int i = 0; i < module->entries; i++)
        if (module->kernel[i] && context->last_kernel == module->kernel[i])
            context->last_kernel = NULL;
    ptx_module_free(module->ptx);
    free(module);
}

int sim_entry_count(const sim_module *module) {
    return module->entries;
}

const char *sim_entry_name(const sim_module *module, int entry) {
    return module->function[entry]->name;
}

static moe_status decode_entry(sim_module *module, int entry) {
    sim_kernel *kernel;

    if (module->kernel[entry]) return MOE_OK;
    MOE_TRY(sim_decode(module->ptx, module->function[entry], &module->isa, &kernel));
    MOE_TRY(describe_entry(module->function[entry], kernel, module->ptx, &module->entry[entry]));
    module->kernel[entry] = kernel;
    return MOE_OK;
}

moe_status sim_find_entry(sim_module *module, const char *name, int *out) {
    for (int i = 0; i < module->entries; i++) {
        if (strcmp(module->function[i]->name, name) != 0) continue;
        *out = i;
        return decode_entry(module, i);
    }
    return moe_fail(MOE_E_NOT_FOUND, "the image has no kernel '%s'", name);
}

const sim_entry *sim_entry_info(const sim_module *module, int entry) {
    return &module->entry[entry];
}

moe_status sim_launch(sim_context *context, const sim_module *module, int entry,
                      const moe_dims *dims, const void *args, size_t args_size) {
    if (entry < 0 || entry >= module->entries)
        return moe_fail(MOE_E_INVALID, "the module has no entry number %d", entry);
    if (!module->kernel[entry])
        return moe_fail(MOE_E_INVALID, "entry %s was not decoded: find it by name first",
                        sim_entry_name(module, entry));
    return sim_launch_kernel(context, module->kernel[entry], dims, args, args_size);
}
