/* list.h - lists that grow. */
#ifndef MOE_LIST_H
#define MOE_LIST_H

#include "core/status.h"

/* Makes room for one more element behind `count`. `list` is the address of the owned pointer to
 * the elements, of `size` bytes each, NULL at first; *room says how many there may be.
 * MOE_E_MEMORY, and the list stays as it is. */
moe_status moe_list_grow(void *list, int64_t count, int64_t *room, size_t size);

#endif
