/* exec_table.c - the handlers by operation, for one instruction set of the host. */
#include "exec/exec.h"

const sim_handler SIM_EXEC(sim_handler_table)[SIM_OP_COUNT] = {
#define SIM_OP(id, class) SIM_EXEC(sim_op_##id),
#include "decode/oplist.def"
#undef SIM_OP
};
