/* compile_case.h - default configs of templates, compiled for a chip of each arch: they must
 * neither spill nor keep wgmma from overlapping. */
#ifndef COMPILE_CASE_H
#define COMPILE_CASE_H

#include "fixture.h"

typedef enum compile_chip {
    COMPILE_SM_80,
    COMPILE_SM_86,
    COMPILE_SM_89,
    COMPILE_SM_90A,
    COMPILE_SM_100A,
    COMPILE_SM_120A,
} compile_chip;

moe_facts compile_case_facts(compile_chip chip);

/* One op by a template. */
void compile_case_op(fixture *f, const moe_template *t, const moe_op *op, const moe_facts *facts);

/* The ops of two layers by every template that serves them. */
void compile_case_chip(compile_chip chip);

#endif
