/* stages_check.h - judging the ids of a router that picks k experts. */
#ifndef MOE_STAGES_CHECK_H
#define MOE_STAGES_CHECK_H

#include "route_check.h"

bool moe_stage_ids_are_right(const moe_route_check *c);

#endif
