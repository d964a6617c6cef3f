/* db_show.h - what a tuning database holds, for people and programs. */
#ifndef MOE_DB_SHOW_H
#define MOE_DB_SHOW_H

#include "store/storage.h"

#include <stdio.h>

/* Devices with their rows by outcome, the fastest kernel of each op, and the layers. */
moe_status moe_db_show(moe_storage *store, bool json, FILE *to);

#endif
