/* module.c - PTX text as something that can be launched: module variables in memory, every entry
 * decoded. */
#include "machine/engine.h"

#include <stdlib.h>
#include <string.h>

struct sim_module {
    ptx_module *ptx;
    int entries;
    sim_entry *entry;
    sim_kernel **kernel;
};

static bool has_memory(const ptx_variable *v) {
    return v->space == SIM_GLOBAL || v->space == SIM_CONST;
}

static ptx_variable *find_variable(const ptx_module *ptx, const char *name) {
    for (uint32_t i = 0; i < ptx->variables; i++)
        if (strcmp(ptx->variable[i]->name, name) == 0) return ptx->variable[i];
    return NULL;
}

static moe_status place_variable(sim_context *context, ptx_variable *v) {
    uint64_t offset;
    sim_allocation *a;

    if (v->external)
        return moe_fail(MOE_E_UNSUPPORTED,
                        "variable %s is external; the simulator does not link modules", v->name);
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

static moe_status place_variables(sim_context *context, ptx_module *ptx) {
    for (uint32_t i = 0; i < ptx->variables; i++)
        if (has_memory(ptx->variable[i])) MOE_TRY(place_variable(context, ptx->variable[i]));
    for (uint32_t i = 0; i < ptx->variables; i++)
        if (has_memory(ptx->variable[i])) MOE_TRY(relocate(context, ptx, ptx->variable[i]));
    return MOE_OK;
}

static moe_status describe_entry(const ptx_function *f, const sim_kernel *k, ptx_module *ptx,
                                 sim_entry *out) {
    sim_parameter *p = sim_arena_alloc(&ptx->arena, (f->parameters + 1) * sizeof *p);

    if (!p) return moe_fail(MOE_E_MEMORY, "out of memory for a module");
    for (uint32_t i = 0; i < f->parameters; i++) {
        const ptx_variable *v = f->variable[f->results + i];
        p[i] = (sim_parameter){.name = v->name,
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

static moe_status decode_entries(const sim_context *context, sim_module *module) {
    ptx_module *ptx = module->ptx;

    module->entry = sim_arena_alloc(&ptx->arena, (ptx->functions + 1) * sizeof *module->entry);
    module->kernel = sim_arena_alloc(&ptx->arena, (ptx->functions + 1) * sizeof *module->kernel);
    const sim_isa isa = {.spellings = sim_spellings_make(&ptx->arena),
                         .handlers = sim_handlers(context->options.portable)};
    if (!module->entry || !module->kernel || !isa.spellings)
        return moe_fail(MOE_E_MEMORY, "out of memory for a module");
    for (uint32_t i = 0; i < ptx->functions; i++) {
        ptx_function *f = &ptx->function[i];
        if (!f->entry || !f->body) continue;
        MOE_TRY(sim_decode(ptx, f, &isa, &module->kernel[module->entries]));
        MOE_TRY(describe_entry(f, module->kernel[module->entries], ptx,
                               &module->entry[module->entries]));
        module->entries++;
    }
    return MOE_OK;
}

moe_status sim_load(sim_context *context, const char *ptx, size_t size, sim_module **out) {
    sim_module *module = calloc(1, sizeof *module);
    moe_status status;

    if (!module) return moe_fail(MOE_E_MEMORY, "out of memory for a module");
    status = ptx_parse(ptx, size, &module->ptx);
    if (status == MOE_OK) status = place_variables(context, module->ptx);
    if (status == MOE_OK) status = decode_entries(context, module);
    if (status == MOE_OK) *out = module;
    else sim_unload(context, module);
    return status;
}

void sim_unload(sim_context *context, sim_module *module) {
    if (!module) return;
    for (uint32_t i = 0; module->ptx && i < module->ptx->variables; i++) {
        ptx_variable *v = module->ptx->variable[i];
        if (has_memory(v) && v->address) sim_free(context, v->address);
    }
    for (int i = 0; i < module->entries; i++)
        if (context->last_kernel == module->kernel[i]) context->last_kernel = NULL;
    ptx_module_free(module->ptx);
    free(module);
}

int sim_entry_count(const sim_module *module) {
    return module->entries;
}

int sim_find_entry(const sim_module *module, const char *name) {
    for (int i = 0; i < module->entries; i++)
        if (strcmp(module->entry[i].name, name) == 0) return i;
    return -1;
}

const sim_entry *sim_entry_info(const sim_module *module, int entry) {
    return &module->entry[entry];
}

moe_status sim_launch(sim_context *context, const sim_module *module, int entry,
                      const moe_dims *dims, const void *args, size_t args_size) {
    if (entry < 0 || entry >= module->entries)
        return moe_fail(MOE_E_INVALID, "the module has no entry number %d", entry);
    return sim_launch_kernel(context, module->kernel[entry], dims, args, args_size);
}
