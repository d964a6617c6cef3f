/* peer_check.h - judging the ids of product keys. */
#ifndef MOE_PEER_CHECK_H
#define MOE_PEER_CHECK_H

#include "route_check.h"

bool moe_peer_ids_are_right(const moe_route_check *c);

#endif
