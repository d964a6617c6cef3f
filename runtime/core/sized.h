/* sized.h - structs of the API that carry their size, `size_t size`, as their first member.
 *
 * A program holds them as they were when it was compiled, the library as they are now. They are
 * read once where they come in and written once where they go out; between, copies are whole. */
#ifndef MOE_SIZED_H
#define MOE_SIZED_H

#include "core/status.h"

/* Copies the struct that a caller gave into `own`, of `size` bytes: members that it has no room for
 * become 0. MOE_E_INVALID (its size is not set, or members that this library does not know are),
 * where `what` is its name and `type` its type. */
moe_status moe_sized_read(const char *what, const char *type, const void *given, void *own,
                          size_t size);

/* Copies `own` into a caller's struct of `room` bytes. MOE_E_INVALID (no size), MOE_E_UNSUPPORTED
 * (members that it has no room for are not 0). */
moe_status moe_sized_write(const char *what, const char *type, const void *own, size_t size,
                           void *given, size_t room);

#endif
