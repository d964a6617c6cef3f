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

static int by_place(const void *left, const void *right) {
    const sim_line *a = left, *b = right;
    uintptr_t file_a = (uintptr_t)a->file, file_b = (uintptr_t)b->file;

    if (file_a != file_b) return file_a < file_b ? -1 : 1;
    return (a->line > b->line) - (a->line < b->line);
}

/* Makes one row of all rows of a line; returns how many are left. */
static size_t merge_lines(sim_line *lines, size_t count) {
    size_t used = 0;

    qsort(lines, count, sizeof *lines, by_place);
    for (size_t i = 0; i < count; i++) {
        if (used && by_place(&lines[used - 1], &lines[i]) == 0)
            lines[used - 1].executed += lines[i].executed;
        else lines[used++] = lines[i];
    }
    return used;
}

moe_status sim_last_profile(const sim_context *context, const sim_line **lines, size_t *count) {
    const sim_kernel *k = context->last_kernel;
    sim_context *keeper = (sim_context *)(uintptr_t)context;

    if (!k) return moe_fail(MOE_E_NOT_FOUND, "nothing has been launched");
    free(keeper->profile);
    keeper->profile = calloc(k->count + 1u, sizeof *keeper->profile);
    if (!keeper->profile) return moe_fail(MOE_E_MEMORY, "out of memory for a profile");
    for (uint32_t i = 0; i < k->count; i++) {
        uint32_t file = k->place[i].file, line = file ? k->place[i].line : k->line[i];
        const char *name = file && file < k->module->files ? k->module->file[file] : NULL;
        keeper->profile[i] = (sim_line){
            .file = name, .line = name ? line : k->line[i], .executed = context->hits[i]};
    }
    *count = merge_lines(keeper->profile, k->count);
    qsort(keeper->profile, *count, sizeof *keeper->profile, busier);
    *lines = keeper->profile;
    return MOE_OK;
}
