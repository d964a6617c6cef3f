/* memory.c - the simulated GPU's memory: exact-size allocations and which of their bytes are
 * written. */
#include "machine/engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLACK = 64 }; /* so that whole vectors can be read at the end of an allocation */

/* ---- the written map */

void sim_written_set(sim_allocation *a, uint64_t offset, uint64_t bytes) {
    while (bytes) {
        uint64_t bit = offset & 63, part = bytes < 64 - bit ? bytes : 64 - bit;
        uint64_t mask = (part == 64 ? UINT64_MAX : ((uint64_t)1 << part) - 1) << bit;
        uint64_t *word = &a->written[offset >> 6];
        if ((__atomic_load_n(word, __ATOMIC_RELAXED) & mask) != mask)
            __atomic_fetch_or(word, mask, __ATOMIC_RELAXED);
        offset += part;
        bytes -= part;
    }
}

static void written_clear(sim_allocation *a, uint64_t offset, uint64_t bytes) {
    while (bytes) {
        uint64_t bit = offset & 63, part = bytes < 64 - bit ? bytes : 64 - bit;
        uint64_t mask = (part == 64 ? UINT64_MAX : ((uint64_t)1 << part) - 1) << bit;
        a->written[offset >> 6] &= ~mask;
        offset += part;
        bytes -= part;
    }
}

bool sim_written_test(const sim_allocation *a, uint64_t offset, uint64_t bytes, uint64_t *first) {
    while (bytes) {
        uint64_t bit = offset & 63, part = bytes < 64 - bit ? bytes : 64 - bit;
        uint64_t mask = (part == 64 ? UINT64_MAX : ((uint64_t)1 << part) - 1) << bit;
        uint64_t word = __atomic_load_n(&a->written[offset >> 6], __ATOMIC_RELAXED),
                 missing = mask & ~word;
        if (missing) {
            *first = (offset & ~(uint64_t)63) + (uint64_t)__builtin_ctzll(missing);
            return false;
        }
        offset += part;
        bytes -= part;
    }
    return true;
}

/* ---- what the L2 let go */

/* Appends the pages that the launch used; with no room, counts them. */
static size_t used_pages(const sim_allocation *a, uint64_t launch, sim_uses *uses) {
    uint64_t pages = (a->size + SIM_PAGE_BYTES - 1) >> SIM_PAGE_SHIFT;
    size_t count = 0;

    for (uint64_t i = 0; a->page && i < pages; i++) {
        const sim_page *page = &a->page[i];
        if (page->launch != launch || !page->uses.epochs) continue;
        if (uses) uses[count] = page->uses;
        if (uses)
            uses[count].sectors = (uint8_t)(__builtin_popcountll(page->touched[0]) +
                                            __builtin_popcountll(page->touched[1]));
        count++;
    }
    return count;
}

/* Without memory for the list, nothing seems to have been missed. */
uint64_t sim_memory_missed(const sim_memory *memory, uint64_t launch, const sim_epochs *epochs,
                           uint64_t l2) {
    size_t count = 0, filled = 0;

    for (uint32_t i = 0; i < memory->count; i++)
        count += used_pages(&memory->allocation[i], launch, NULL);
    sim_uses *uses = malloc((count + 1) * sizeof *uses);
    if (!uses) return 0;
    for (uint32_t i = 0; i < memory->count; i++)
        filled += used_pages(&memory->allocation[i], launch, uses + filled);
    uint64_t missed = sim_reuse_missed(uses, filled, epochs, l2);
    free(uses);
    return missed;
}

/* ---- allocations */

static moe_status grow_table(sim_memory *memory) {
    uint32_t room = memory->room ? 2 * memory->room : 64;
    sim_allocation *bigger = realloc(memory->allocation, room * sizeof *bigger);

    if (!bigger)
        return moe_fail(MOE_E_MEMORY, "out of host memory for the simulated GPU's allocations");
    memset(bigger + memory->room, 0, (room - memory->room) * sizeof *bigger);
    memory->allocation = bigger;
    memory->room = room;
    if (memory->count < SIM_FIRST_ALLOCATION) memory->count = SIM_FIRST_ALLOCATION;
    return MOE_OK;
}

static uint64_t host_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
}

moe_status sim_memory_alloc(sim_memory *memory, size_t bytes, uint64_t *out) {
    sim_allocation a = {.size = bytes};
    size_t pages = (bytes + SIM_PAGE_BYTES - 1) >> SIM_PAGE_SHIFT;

    if (bytes > memory->limit - memory->used)
        return moe_fail(MOE_E_MEMORY,
                        "the simulated GPU has %llu bytes left of %llu, %zu were asked for",
                        (unsigned long long)(memory->limit - memory->used),
                        (unsigned long long)memory->limit, bytes);
    if (bytes > host_memory() - host_memory() / 8)
        return moe_fail(MOE_E_MEMORY,
                        "%zu bytes of simulated GPU memory do not fit this machine's memory",
                        bytes);
    if (memory->count >= memory->room) MOE_TRY(grow_table(memory));
    a.bytes = aligned_alloc(256, (bytes + SLACK + 255) & ~(size_t)255);
    a.written = calloc(bytes / 64 + 1, sizeof *a.written);
    a.page = calloc(pages + 1, sizeof *a.page);
    if (!a.bytes || !a.written || !a.page) {
        free(a.bytes);
        free(a.written);
        free(a.page);
        return moe_fail(MOE_E_MEMORY, "out of host memory: %zu bytes of simulated GPU memory",
                        bytes);
    }
    memset(a.bytes, 0xff, bytes);
    memory->allocation[memory->count] = a;
    memory->used += bytes;
    *out = (uint64_t)memory->count++ << SIM_ADDRESS_SHIFT;
    return MOE_OK;
}

void sim_marks_free(sim_marks *marks) {
    free(marks->stamp);
    free(marks->detail);
    *marks = (sim_marks){0};
}

static void forget_marks(sim_allocation *allocation) {
    uint64_t pages = (allocation->size + SIM_PAGE_BYTES - 1) >> SIM_PAGE_SHIFT;

    for (uint64_t i = 0; allocation->page && i < pages; i++)
        for (int kind = 0; kind < SIM_MARK_KINDS; kind++)
            sim_marks_free(&allocation->page[i].marks[kind]);
    free(allocation->page);
    allocation->page = NULL;
}

static void release(sim_memory *memory, sim_allocation *a) {
    memory->used -= a->size;
    forget_marks(a);
    free(a->bytes);
    free(a->written);
    a->bytes = NULL;
    a->written = NULL;
}

void sim_memory_free(sim_memory *memory) {
    for (uint32_t i = SIM_FIRST_ALLOCATION; i < memory->count; i++)
        if (memory->allocation[i].bytes) release(memory, &memory->allocation[i]);
    free(memory->allocation);
    *memory = (sim_memory){0};
}

moe_status sim_alloc(sim_context *context, size_t bytes, uint64_t *out) {
    return sim_memory_alloc(&context->memory, bytes, out);
}

moe_status sim_free(sim_context *context, uint64_t address) {
    sim_memory *m = &context->memory;
    uint64_t number = address >> SIM_ADDRESS_SHIFT;
    sim_allocation *a = sim_allocation_at(m, address);

    if (!address) return MOE_OK;
    if (number < SIM_FIRST_ALLOCATION || number >= m->count ||
        address != number << SIM_ADDRESS_SHIFT)
        return moe_fail(MOE_E_FAULT, "free of 0x%llx, which is no allocation",
                        (unsigned long long)address);
    if (!a) return moe_fail(MOE_E_FAULT, "0x%llx is freed twice", (unsigned long long)address);
    release(m, a);
    return MOE_OK;
}

/* The allocation that holds all of the bytes. */
static moe_status host_range(sim_context *context, uint64_t address, size_t bytes, const char *what,
                             sim_allocation **out, uint64_t *offset) {
    *out = sim_allocation_at(&context->memory, address);
    *offset = address & ((1ull << SIM_ADDRESS_SHIFT) - 1);
    if (!*out)
        return moe_fail(MOE_E_FAULT, "%s 0x%llx, which is %s", what, (unsigned long long)address,
                        address >> SIM_ADDRESS_SHIFT < context->memory.count &&
                                address >> SIM_ADDRESS_SHIFT >= SIM_FIRST_ALLOCATION
                            ? "freed"
                            : "no allocation");
    if (*offset > (*out)->size || bytes > (*out)->size - *offset)
        return moe_fail(MOE_E_FAULT, "%s %zu bytes at offset %llu of an allocation of %llu bytes",
                        what, bytes, (unsigned long long)*offset, (unsigned long long)(*out)->size);
    return MOE_OK;
}

moe_status sim_copy_in(sim_context *context, uint64_t to, const void *host, size_t bytes) {
    sim_allocation *a;
    uint64_t offset;

    if (!bytes) return MOE_OK;
    MOE_TRY(host_range(context, to, bytes, "copy to", &a, &offset));
    memcpy(a->bytes + offset, host, bytes);
    sim_written_set(a, offset, bytes);
    return MOE_OK;
}

moe_status sim_copy_out(sim_context *context, void *host, uint64_t from, size_t bytes) {
    sim_allocation *a;
    uint64_t offset;

    if (!bytes) return MOE_OK;
    MOE_TRY(host_range(context, from, bytes, "copy from", &a, &offset));
    memcpy(host, a->bytes + offset, bytes);
    return MOE_OK;
}

moe_status sim_fill(sim_context *context, uint64_t to, int byte, size_t bytes) {
    sim_allocation *a;
    uint64_t offset;

    if (!bytes) return MOE_OK;
    MOE_TRY(host_range(context, to, bytes, "fill of", &a, &offset));
    memset(a->bytes + offset, byte, bytes);
    sim_written_set(a, offset, bytes);
    return MOE_OK;
}

moe_status sim_poison(sim_context *context, uint64_t to, size_t bytes) {
    sim_allocation *a;
    uint64_t offset;

    if (!bytes) return MOE_OK;
    MOE_TRY(host_range(context, to, bytes, "poison of", &a, &offset));
    memset(a->bytes + offset, 0xff, bytes);
    written_clear(a, offset, bytes);
    return MOE_OK;
}
