/* records_text.h - the tuning database as text files: see tuning_db/README.md. */
#ifndef MOE_RECORDS_TEXT_H
#define MOE_RECORDS_TEXT_H

#include "store/storage.h"

/* What reading or writing went over. */
typedef struct moe_records_count {
    int64_t files, devices, records, choices;
    int64_t simulated; /* devices left out */
    int64_t orphans; /* choices left out because a record of theirs is missing */
    char note[512];  /* about the last orphan */
} moe_records_count;

/* Writes every device's rows under a folder, in files of sorted lines; of simulated devices only
 * where `simulated`. Lines that are there already and have no row in the database are kept.
 * MOE_E_IO, MOE_E_INVALID (a file is of a device with other facts), MOE_E_PARSE. */
moe_status moe_records_export(moe_storage *store, const char *folder, bool simulated,
                              moe_records_count *out);

/* Reads all files under a folder into a database, in the order of their names. MOE_E_NOT_FOUND (no
 * folder, or nothing in it), MOE_E_PARSE with file and line. */
moe_status moe_records_import(moe_storage *store, const char *folder, moe_records_count *out);

/* The first line of every file. */
extern const char moe_records_format[];

/* The name of a device's folder: "nvidia-h100-80gb-hbm3"; of a simulated one always "sim-...". */
void moe_records_slug(const moe_facts *facts, char *slug, size_t size);

/* True for the name of the file that holds a device's layers. */
bool moe_records_layers(const char *name);

/* Bytes of a line's key: the first three columns of a record, the first of a layer's line. */
size_t moe_records_key(const char *line, bool layer);

/* Real devices measure, simulated ones model. */
bool moe_records_honest(const moe_facts *facts, const moe_measurement *m);

#endif
