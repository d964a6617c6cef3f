/* shipped.h - every template of the project, over ops and devices. */
#ifndef SHIPPED_H
#define SHIPPED_H

#include "gen.h"

/* Open and close the templates, for a group of tests. */
int shipped_open(void **state);
int shipped_close(void **state);

/* Calls `check` for every template, op and device that go together; each op needs one template. */
typedef void shipped_check(const moe_template *t, const moe_op *op, const moe_facts *facts);
void shipped_for_each(shipped_check *check);

#endif
