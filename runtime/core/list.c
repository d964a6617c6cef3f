/* list.c - lists that grow. */
#include "core/list.h"

#include <stdlib.h>
#include <string.h>

moe_status moe_list_grow(void *list, int64_t count, int64_t *room, size_t size) {
    enum { FIRST = 64 };
    void *elements;
    if (count < *room) return MOE_OK;
    int64_t wanted = *room ? 2 * *room : FIRST;
    memcpy(&elements, list, sizeof elements);
    elements = realloc(elements, (size_t)wanted * size);
    if (!elements)
        return moe_fail(MOE_E_MEMORY, "no memory for a list of %lld rows", (long long)wanted);
    memcpy(list, &elements, sizeof elements);
    *room = wanted;
    return MOE_OK;
}
