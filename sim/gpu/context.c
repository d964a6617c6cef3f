/* context.c - a simulated GPU, its modules, and what the last launch has left to look at. */
#include "machine/engine.h"

#include <stdlib.h>
#include <string.h>

moe_status sim_open(const moe_facts *facts, const sim_options *options, sim_context **out) {
    sim_context *context = calloc(1, sizeof *context);

    if (!context) return moe_fail(MOE_E_MEMORY, "out of memory for a simulated GPU");
    context->facts = *facts;
    context->options = *options;
    context->memory.limit = (uint64_t)facts->memory;
    context->run = sim_runner(options->portable);
    pthread_mutex_init(&context->pool_lock, NULL);
    *out = context;
    return MOE_OK;
}

void sim_close(sim_context *context) {
    if (!context) return;
    while (context->pool) {
        sim_block *next = context->pool->next;
        sim_block_free(context->pool);
        context->pool = next;
    }
    sim_memory_free(&context->memory);
    pthread_mutex_destroy(&context->pool_lock);
    free(context->hits);
    free(context->profile);
    free(context);
}

const moe_facts *sim_facts(const sim_context *context) {
    return &context->facts;
}

const sim_counters *sim_last_counters(const sim_context *context) {
    return &context->counters;
}

/* ------------------------------------------------------------------------------------ profile */

static int busier(const void *left, const void *right) {
    const sim_line *a = left, *b = right;

    if (a->executed != b->executed) return a->executed < b->executed ? 1 : -1;
    return (a->line > b->line) - (a->line < b->line);
}

static sim_line *find_line(sim_line *lines, size_t count, const char *file, uint32_t line) {
    for (size_t i = 0; i < count; i++)
        if (lines[i].line == line && lines[i].file == file) return &lines[i];
    return &lines[count];
}

moe_status sim_last_profile(const sim_context *context, const sim_line **lines, size_t *count) {
    const sim_kernel *k = context->last_kernel;
    sim_context *keeper = (sim_context *)(uintptr_t)context;
    size_t used = 0;

    if (!k) return moe_fail(MOE_E_NOT_FOUND, "nothing has been launched");
    free(keeper->profile);
    keeper->profile = calloc(k->count + 1u, sizeof *keeper->profile);
    if (!keeper->profile) return moe_fail(MOE_E_MEMORY, "out of memory for a profile");
    for (uint32_t i = 0; i < k->count; i++) {
        uint32_t file = k->place[i].file, line = file ? k->place[i].line : k->line[i];
        const char *name = file && file < k->module->files ? k->module->file[file] : NULL;
        sim_line *at = find_line(keeper->profile, used, name, line);
        if (at == &keeper->profile[used]) used++;
        at->file = name;
        at->line = line;
        at->executed += context->hits[i];
    }
    qsort(keeper->profile, used, sizeof *keeper->profile, busier);
    *lines = keeper->profile;
    *count = used;
    return MOE_OK;
}
