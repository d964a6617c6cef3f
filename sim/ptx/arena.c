/* arena.c - a bump allocator. */
#include "ptx/arena.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 16 };

typedef struct sim_chunk {
    struct sim_chunk *older;
    size_t size;
    _Alignas(16) unsigned char bytes[];
} sim_chunk;

void *sim_arena_alloc(sim_arena *arena, size_t bytes) {
    size_t need = (bytes + 15) & ~(size_t)15;

    if (!arena->chunk || arena->used + need > arena->chunk->size) {
        size_t size = need > CHUNK_BYTES ? need : CHUNK_BYTES;
        sim_chunk *chunk = calloc(1, sizeof *chunk + size);
        if (!chunk) return NULL;
        chunk->older = arena->chunk;
        chunk->size = size;
        arena->chunk = chunk;
        arena->used = 0;
    }
    void *out = arena->chunk->bytes + arena->used;
    arena->used += need;
    return out;
}

char *sim_arena_text(sim_arena *arena, const char *text, size_t length) {
    char *copy = sim_arena_alloc(arena, length + 1);

    if (copy) memcpy(copy, text, length);
    return copy;
}

void *sim_arena_grow(sim_arena *arena, void *array, size_t count, size_t size) {
    if (count && (count < 8 || (count & (count - 1)))) return array;
    void *bigger = sim_arena_alloc(arena, (count ? 2 * count : 8) * size);

    if (bigger && count) memcpy(bigger, array, count * size);
    return bigger;
}

void sim_arena_free(sim_arena *arena) {
    while (arena->chunk) {
        sim_chunk *older = arena->chunk->older;
        free(arena->chunk);
        arena->chunk = older;
    }
    arena->used = 0;
}
