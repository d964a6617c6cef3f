/* code.h - a kernel ready to run: what decode.c makes of parsed PTX and the engine executes.
 *
 * An instruction is a handler with the places of its operands. A register is 32 lanes, one behind
 * the other, in the warp's register file: 64, 128 or 256 bytes; a predicate is one word with a bit
 * for each lane. Immediates are registers too, in a constant pool that the warps share: their
 * offsets have bit 31 set. All functions that an entry calls are decoded behind it into the same
 * code, with registers of their own (so that recursion is refused). */
#ifndef SIM_CODE_H
#define SIM_CODE_H

#include "model/counters.h"
#include "ptx/ptx.h"

typedef struct sim_warp sim_warp;
struct sim_spellings;
typedef struct sim_instruction sim_instruction;

/* Executes one instruction for the lanes `exec` of a warp; what comes next is a sim_next. */
typedef int (*sim_handler)(sim_warp *warp, const sim_instruction *in, uint32_t exec);

typedef enum sim_next {
    SIM_STEP,  /* go on behind the instruction */
    SIM_JUMP,  /* the handler has set where lanes are */
    SIM_YIELD, /* step, and let other warps run first */
    SIM_WAIT,  /* the warp waits at a barrier; it goes on where its lanes are */
} sim_next;

struct sim_instruction {
    sim_handler run;
    int32_t d, a, b, c;  /* operands; which is which is up to the handler */
    int32_t e, f;        /* less common ones */
    uint32_t guard;      /* the predicate's offset; 0 = always */
    uint32_t guard_flip; /* ~0: where the predicate is false */
    int64_t imm;         /* address offset, jump target, ... */
    const int32_t *list; /* operands of a vector */
    uint32_t aux;        /* handler-specific flags */
    uint16_t stall;      /* modelled cycles */
    uint16_t op;         /* sim_op */
};

/* Every handler: those of alu.def, cvt.def and op.def. */
typedef enum sim_op {
#define SIM_OP(id, class) SIM_OP_##id,
#include "decode/oplist.def"
#undef SIM_OP
    SIM_OP_COUNT
} sim_op;

extern const uint8_t sim_op_class[SIM_OP_COUNT];

/* The handlers for the instruction set of the machine that runs the simulator, or those that run on
 * any. */
const sim_handler *sim_handlers(bool portable);

/* Values that are fixed while a warp lives, and so live in registers. */
typedef enum sim_special {
#define SIM_SPECIAL(id, name, bits) SIM_SPECIAL_##id,
#include "decode/special.def"
#undef SIM_SPECIAL
    SIM_SPECIAL_COUNT
} sim_special;

typedef struct sim_special_register {
    sim_special kind;
    uint32_t offset;
} sim_special_register;

/* An instruction that reads or writes registers that matrix operations may use: what it does, and
 * which registers these are (decode_lent.c). */
typedef struct sim_lent {
    sim_handler run;
    bool moves; /* hands one register's value, and loan, to another */
    uint8_t inputs, outputs;
    int32_t place[]; /* of the inputs, then of the outputs, in the register file */
} sim_lent;

typedef struct sim_kernel {
    const char *name;
    uint32_t count;
    sim_instruction *code;
    uint32_t *line;    /* of the PTX text, for each instruction */
    ptx_place *place;  /* of the source */
    const char **text; /* opcodes */
    uint16_t *far;     /* by instruction: cycles on top of its stall if loads come from DRAM */
    const sim_lent **lent; /* by instruction; NULL: it touches none; NULL: the kernel has none */
    uint32_t start;    /* the entry's first instruction; what it calls is in front */
    uint32_t register_bytes;
    uint8_t *constants;
    uint32_t specials;
    sim_special_register special[SIM_SPECIAL_COUNT];
    uint32_t local_bytes;  /* of one lane */
    uint32_t shared_bytes; /* static */
    uint32_t args_size;
    const ptx_demands *demands; /* on its launches */
    uint8_t shared_store_shift; /* log2 of the narrowest store that may hit shared memory, */
    uint8_t shared_load_shift;  /* and of the narrowest load */
    bool shared_atomics;
    bool polls; /* it has strong loads of global memory */
    const ptx_module *module; /* file names */
} sim_kernel;

/* What decoding needs to know of instructions. */
typedef struct sim_isa {
    const struct sim_spellings *spellings;
    const sim_handler *handlers;
} sim_isa;

/* Decodes an entry with all that it calls. Module variables must have addresses. The kernel lives
 * in the arena. MOE_E_UNSUPPORTED, MOE_E_PARSE, MOE_E_INVALID with the PTX line. */
moe_status sim_decode(ptx_module *module, ptx_function *entry, const sim_isa *isa,
                      sim_kernel **out);

/* The instructions by spelling, for all kernels of a module; NULL without memory. */
const struct sim_spellings *sim_spellings_make(sim_arena *arena);

/* Windows of the generic address space: allocation numbers that no allocation has. */
enum {
    SIM_ADDRESS_SHIFT = 36,
    SIM_WINDOW_SHARED = 1,
    SIM_WINDOW_LOCAL = 2,
    SIM_WINDOW_PARAM = 3,
    SIM_FIRST_ALLOCATION = 16
};

#endif
