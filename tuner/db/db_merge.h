/* db_merge.h - several databases into one, row by row. */
#ifndef MOE_DB_MERGE_H
#define MOE_DB_MERGE_H

#include "store/storage.h"

typedef struct moe_db_merged {
    int64_t devices, records, layers; /* that the new database holds */
    int64_t alike;      /* rows that were there more than once */
    int64_t overridden; /* records that gave way to better evidence, see db_ledger.h */
    int64_t overridden_layers;
    int64_t kept; /* records that would have, but a layer that stays is made of them */
} moe_db_merged;

/* Writes the better rows of all databases at `path` into a new one at `out`, which appears when it
 * is whole. `out` may be one of them; if it is there and is not, nothing is done.
 * MOE_E_INVALID (`out` is there), MOE_E_NOT_FOUND, MOE_E_CORRUPT, MOE_E_IO, MOE_E_MEMORY. */
moe_status moe_db_merge(const char *const *path, int count, const char *out,
                        moe_db_merged *merged);

#endif
