/* records_text.h - the tuning database as text files: see tuning_db/README.md. */
#ifndef MOE_RECORDS_TEXT_H
#define MOE_RECORDS_TEXT_H

#include "storage.h"

/* What reading or writing went over. */
typedef struct moe_records_count {
    int64_t files, devices, records, choices;
    int64_t orphans; /* choices left out because a record of theirs is missing */
    char note[512];  /* about the last orphan */
} moe_records_count;

/* Writes every device's rows under a folder, in files of sorted lines. Lines that are there already
 * and have no row in the database are kept. MOE_E_IO, MOE_E_INVALID (a file is of a device with
 * other facts), MOE_E_PARSE. */
moe_status moe_records_export(moe_storage *store, const char *folder, moe_records_count *out);

/* Reads all files under a folder into a database, in the order of their names. MOE_E_NOT_FOUND (no
 * folder, or nothing in it), MOE_E_PARSE with file and line. */
moe_status moe_records_import(moe_storage *store, const char *folder, moe_records_count *out);

#endif
