/* oplist.c - to which class of the time model every operation belongs. */
#include "decode/code.h"

const uint8_t sim_op_class[SIM_OP_COUNT] = {
#define SIM_OP(id, class) SIM_CLASS_##class,
#include "decode/oplist.def"
#undef SIM_OP
};
