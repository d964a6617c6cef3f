/* db_ledger.h - the rows of some databases side by side: by key, the best evidence first.
 *
 * A record's key is its device, op, template's name and config; a layer's is its device and
 * workload. Of rows with one key the better one is that
 *   1. of the newer template: of two versions of a template (name@hash), the newer one is that with
 *      the youngest row in any of the databases; a layer is as old as its oldest step;
 *   2. then with more samples;
 *   3. then of the later date;
 *   4. then with the lower text, so that the order of the databases never matters. */
#ifndef MOE_DB_LEDGER_H
#define MOE_DB_LEDGER_H

#include "store/storage.h"

/* A device as one of the databases knows it. */
typedef struct moe_ledger_device {
    moe_storage *store;
    int64_t id;
    moe_facts facts;
} moe_ledger_device;

typedef struct moe_ledger_row {
    char *key;      /* owned */
    char *line;     /* owned: the record's or the choice's text */
    bool layer;     /* it is a choice */
    int64_t device; /* in moe_ledger.device */
    int64_t age;    /* newer versions of its template; of a layer: of its oldest step */
    int64_t n;
    char date[24];
} moe_ledger_row;

/* One version of a template. */
typedef struct moe_ledger_version {
    char id[MOE_TEMPLATE_ID_SIZE];
    char date[24]; /* of its youngest row */
} moe_ledger_version;

typedef struct moe_ledger {
    moe_ledger_row *row; /* owned */
    int64_t count, room;
    moe_ledger_device *device; /* owned */
    int64_t devices, device_room;
    moe_ledger_version *version; /* owned */
    int64_t versions, version_room;
} moe_ledger;

/* Adds all rows of a database, which must stay open. MOE_E_CORRUPT, MOE_E_IO, MOE_E_MEMORY. */
moe_status moe_ledger_add(moe_ledger *ledger, moe_storage *store);

/* Sorts: records, then layers; by key; the best evidence first. */
moe_status moe_ledger_sort(moe_ledger *ledger);

/* Where the rows end that have the key of row `first`. */
int64_t moe_ledger_end(const moe_ledger *ledger, int64_t first);
void moe_ledger_free(moe_ledger *ledger);

#endif
