/* storage.h - the write side of the tuning database.
 *
 * Every record and every choice is one transaction, so a killed tuner loses nothing that it has
 * reported. The file is in rollback-journal mode: it is whole by itself at any time, may be copied,
 * and works on network disks. Two tuners may share one file: each waits for the other's commits.
 * A store belongs to one thread at a time. */
#ifndef MOE_STORAGE_H
#define MOE_STORAGE_H

#include "compile/compile.h"
#include "core/record.h"

typedef struct moe_storage moe_storage;

/* Opens a database for writing and creates it, with its folder, where there is none. NULL: the
 * default path, as in moe_db_open. MOE_E_IO (read-only, full, ...), MOE_E_CORRUPT. */
moe_status moe_storage_open(const char *path, moe_storage **out);

/* Opens a database that must be there, for reading: nothing is written to it, and it may be on a
 * read-only disk. MOE_E_NOT_FOUND, and as above. */
moe_status moe_storage_open_existing(const char *path, moe_storage **out);
void moe_storage_close(moe_storage *store);
const char *moe_storage_path(const moe_storage *store);

/* The row of a device, which is made on first use. */
moe_status moe_storage_device(moe_storage *store, const moe_facts *facts, int64_t *id);

/* What stands beside a record. Pointers may be NULL. */
typedef struct moe_evidence {
    const char *samples;          /* ns, separated by spaces */
    const char *log;              /* of a failure */
    const moe_compiled *compiled; /* NULL: the record gets no image */
    const char *source;           /* of the image */
} moe_evidence;

/* Writes a record, in place of an older one of the same key (device, op, template, config). Its
 * image stays where the new one has none, and samples and log where they are of the same result. */
moe_status moe_storage_put(moe_storage *store, int64_t device, const moe_record *record,
                         const moe_evidence *evidence);

/* Puts everything between the two calls into one transaction: much faster, and all or nothing. */
moe_status moe_storage_bulk_begin(moe_storage *store);
moe_status moe_storage_bulk_end(moe_storage *store);

/* Looks for the record of (op, template_id, config) in *record and fills in the rest of it. `image`
 * (MOE_HASH_SIZE bytes) gets the hash of its image, or "". */
moe_status moe_storage_find(moe_storage *store, int64_t device, moe_record *record, char *image,
                          bool *found);

/* What the compiler or the device said of a candidate that failed; "" if it did not, or has no row.
 * */
moe_status moe_storage_log(moe_storage *store, int64_t device, const moe_record *record, char *log,
                           size_t size);

/* What stands beside a record: owned copies of its samples and its log; both NULL without a row. */
moe_status moe_storage_notes(moe_storage *store, int64_t device, const moe_record *record,
                             char **samples, char **log);

/* Writes a choice, in place of an older one of the same key (device, layer, t, routing, cache). Its
 * steps must have records. */
moe_status moe_storage_put_choice(moe_storage *store, int64_t device, const moe_choice *choice);

/* Looks for the choice of (layer, t, routing, cache) in *choice and fills in the rest of it. */
moe_status moe_storage_find_choice(moe_storage *store, int64_t device, moe_choice *choice,
                                   bool *found);

/* The image called `hash`; `out` belongs to the caller and is set only if found. `source` (may be
 * NULL) gets an owned copy of its CUDA. */
moe_status moe_storage_image(moe_storage *store, const char *hash, moe_compiled *out, char **source,
                           bool *found);

/* Calls `each` for every row; it stops at the first status that is not MOE_OK, and returns it.
 * MOE_E_CORRUPT: a row cannot be read. */
typedef moe_status moe_device_each(void *context, int64_t device, const moe_facts *facts);
typedef moe_status moe_record_each(void *context, const moe_record *record, const char *image);
typedef moe_status moe_choice_each(void *context, const moe_choice *choice);
typedef void moe_damage_each(void *context, const char *table, int64_t id);
moe_status moe_storage_devices(moe_storage *store, moe_device_each *each, void *context);
moe_status moe_storage_records(moe_storage *store, int64_t device, moe_record_each *each,
                             void *context);
moe_status moe_storage_choices(moe_storage *store, int64_t device, moe_choice_each *each,
                             void *context);

/* From now on rows that cannot be read are given to `each`, with the reason in moe_error_text, and
 * then skipped. */
void moe_storage_on_damage(moe_storage *store, moe_damage_each *each, void *context);

/* What SQLite itself finds wrong with the file, up to `room` texts, and the number of them.
 * MOE_E_CORRUPT (it cannot even be asked). */
moe_status moe_storage_integrity(moe_storage *store, char (*text)[256], int room, int *count);

#endif
