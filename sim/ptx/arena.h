/* arena.h - memory that lives and dies together: the parsed and decoded form of one module. */
#ifndef SIM_ARENA_H
#define SIM_ARENA_H

#include <stddef.h>

typedef struct sim_arena {
    struct sim_chunk *chunk; /* newest first */
    size_t used;             /* bytes of it */
} sim_arena;

/* Zeroed memory, 16-aligned; NULL when out of memory. A zeroed arena is empty. */
void *sim_arena_alloc(sim_arena *arena, size_t bytes);

/* A NUL-terminated copy of `length` bytes. */
char *sim_arena_text(sim_arena *arena, const char *text, size_t length);

/* Room for one more element in an array that has `count`: the array itself, or a copy twice its
 * size. NULL when out of memory. */
void *sim_arena_grow(sim_arena *arena, void *array, size_t count, size_t size);

void sim_arena_free(sim_arena *arena);

#endif
