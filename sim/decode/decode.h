/* decode.h - inside the decoder: what decode.c offers to the files that know instructions. */
#ifndef SIM_DECODE_H
#define SIM_DECODE_H

#include "decode/code.h"
#include "model/model.h"

enum { SIM_MAX_PARTS = 20 };

/* A function in the kernel being decoded. */
typedef struct sim_frame {
    ptx_function *function;
    int32_t *offset;         /* of its registers in the register file */
    uint32_t first_register; /* number of its register 0, for the schedule */
    int32_t return_register; /* each lane's return address */
    uint32_t start;          /* first instruction */
} sim_frame;

/* A jump whose label is still to be found. */
typedef struct sim_fixup {
    int32_t *list; /* an entry of a jump table, or NULL: the instruction's imm */
    uint32_t instruction, label;
} sim_fixup;

/* A constant of the pool. */
typedef struct sim_constant_slot {
    uint64_t value;
    uint32_t bits; /* 0: the slot is free */
    int32_t place;
} sim_constant_slot;

typedef struct sim_decoder {
    ptx_module *module;
    sim_arena *arena;
    sim_kernel *kernel;
    const sim_isa *isa;
    ptx_function *entry;
    sim_frame *frame; /* the function being decoded */
    sim_frame *frames;
    uint32_t frame_count;
    const ptx_statement *statement;
    char part[SIM_MAX_PARTS][32]; /* of the opcode, between its dots */
    int parts;
    uint32_t registers;    /* numbered so far, for the schedule */
    int32_t *special;      /* offset of each special register, 0 = not in use */
    uint32_t predicate_at; /* next free predicate word, and the end of its line */
    uint32_t predicate_end;
    uint8_t *pool;
    uint32_t pool_bytes, pool_room;
    sim_constant_slot *slot; /* by hash */
    uint32_t slots, constants;
    uint32_t room; /* of kernel->code */
    sim_schedule_op *schedule;
    sim_schedule_op current; /* registers of the statement being decoded */
    sim_fixup *fixup;
    uint32_t fixups;
    uint32_t *statement_pc; /* of the function being decoded */
    uint32_t carry_register, memory_register;
    uint8_t *lent; /* by register number: matrix operations use it; NULL: there are none */
    uint32_t lent_room;
} sim_decoder;

/* ---- operands (decode_operand.c). Each returns a register-file offset. */

/* A value of `bits` bits to be read: register, immediate, special register or address. */
moe_status sim_source(sim_decoder *d, const ptx_operand *operand, unsigned bits, int32_t *out);
/* A register to be written; `_` gives one that nobody reads. */
moe_status sim_destination(sim_decoder *d, const ptx_operand *operand, unsigned bits, int32_t *out);
/* A predicate to be read, with SIM_PREDICATE_NOT where it is negated. */
moe_status sim_predicate_source(sim_decoder *d, const ptx_operand *operand, int32_t *out);
/* A predicate to be written; 0 for `_`. */
moe_status sim_predicate_destination(sim_decoder *d, const ptx_operand *operand, int32_t *out);
/* Any register to be read or written in its own width. */
moe_status sim_any_source(sim_decoder *d, const ptx_operand *operand, unsigned preferred,
                          int32_t *out, unsigned *bits);
moe_status sim_any_destination(sim_decoder *d, const ptx_operand *operand, int32_t *out,
                               unsigned *bits);
/* The registers of {a, b, ...}, or of one operand; *count gets their number. */
moe_status sim_list(sim_decoder *d, const ptx_operand *operand, unsigned bits, bool read,
                    int32_t **out, uint32_t *count);
/* [base + offset]: sets in->a, in->imm and MEMORY_NARROW. */
moe_status sim_address(sim_decoder *d, const ptx_operand *operand, sim_instruction *in);
/* A constant in the pool, or a fresh register. */
moe_status sim_constant(sim_decoder *d, uint64_t value, unsigned bits, int32_t *out);
moe_status sim_temporary(sim_decoder *d, unsigned bits, int32_t *out);

/* Room for a register in the register file. */
int32_t sim_allocate(sim_decoder *d, unsigned bits);

/* ---- instructions (decoder.c) */

/* Tells the schedule what the statement reads. */
void sim_note_read(sim_decoder *d, uint32_t number);
/* Appends an instruction under the statement's guard. */
moe_status sim_emit(sim_decoder *d, sim_op op, sim_instruction in);
/* Has a label's address put into the next instruction's imm, or into *list. */
moe_status sim_fix(sim_decoder *d, int32_t *list, uint32_t label);

/* ---- registers of matrix operations (decode_lent.c) */

/* Those of a list are accumulators or factors of an operation. */
moe_status sim_lend(sim_decoder *d, const ptx_operand *list);
/* Has all instructions watched that touch such registers, or what moves may hand their loans on to.
 * Once everything is decoded. */
moe_status sim_watch_lent(sim_decoder *d);

/* ---- opcodes */

bool sim_has(const sim_decoder *d, const char *part);
/* log2 of the bytes of the type that the opcode ends in, its signedness and its register bits. */
unsigned sim_type_bits(const char *type);
/* Failures that name the instruction and its PTX line. */
moe_status sim_unknown(const sim_decoder *d);
moe_status sim_bad(const sim_decoder *d, const char *what);
moe_status sim_expect(const sim_decoder *d, uint32_t operands);
moe_status sim_no_memory(void);

/* ---- instruction groups: *known = false where the opcode is not of the group */

moe_status sim_decode_alu(sim_decoder *d, bool *known);
moe_status sim_decode_data(sim_decoder *d, bool *known);
moe_status sim_decode_convert(sim_decoder *d, bool *known);
moe_status sim_decode_memory(sim_decoder *d, bool *known);
moe_status sim_decode_warp(sim_decoder *d, bool *known);
moe_status sim_decode_matrix(sim_decoder *d, bool *known);
moe_status sim_decode_flow(sim_decoder *d, bool *known);
moe_status sim_decode_async(sim_decoder *d, bool *known);

/* The operation and type of an atomic operation or reduction, as in reduce.h; -1: none is named
 * (decode_reduce.c). */
int sim_reduce_operation_of(const sim_decoder *d);
int sim_reduce_type_of(const sim_decoder *d);

/* A function that the device's library has, and the simulator itself (decode_flow.c). */
bool sim_is_built_in(const char *name);

/* A special register that tells the time (decode_data.c). */
bool sim_is_clock(const char *name);

/* Members of cp and fence that belong to the asynchronous proxy (decode_async.c). */
moe_status sim_decode_bulk(sim_decoder *d);
moe_status sim_decode_copy_arrival(sim_decoder *d);
moe_status sim_decode_proxy_fence(sim_decoder *d);

/* A decoder of one mnemonic. */
typedef struct sim_mnemonic {
    const char *name;
    moe_status (*decode)(sim_decoder *d);
} sim_mnemonic;

/* Looks the first part of the opcode up in a table that ends with NULL. */
moe_status sim_decode_by_name(sim_decoder *d, const sim_mnemonic *table, bool *known);

#endif
