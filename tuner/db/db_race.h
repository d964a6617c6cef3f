/* db_race.h - the candidates of each op in a database, and who wins among them. */
#ifndef MOE_DB_RACE_H
#define MOE_DB_RACE_H

#include "store/storage.h"

/* Called for each op of a device with all its rows; `winner` is an index, -1 if none is ok. */
typedef moe_status moe_race_each(void *context, const moe_record *record, int count, int winner);

/* Runs the races of a device. Stops at the first status that is not MOE_OK, and returns it. */
moe_status moe_db_races(moe_storage *store, int64_t device, moe_race_each *each, void *context);

#endif
