/* chips.c - the simulated chips by name. */
#include "model/model.h"

#include <string.h>

const char *const sim_chip_names[] = {
#define SIM_CHIP(key, facts) #key,
#include "model/chips.def"
#undef SIM_CHIP
    NULL,
};

static const char *const chip_facts[] = {
#define SIM_CHIP(key, facts) facts,
#include "model/chips.def"
#undef SIM_CHIP
};

const char *sim_chip_facts(const char *chip) {
    for (int i = 0; sim_chip_names[i]; i++)
        if (strcmp(sim_chip_names[i], chip) == 0) return chip_facts[i];
    return NULL;
}
