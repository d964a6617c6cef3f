/* simulate_arg.h - the arguments of a kernel on the command line of moetune simulate.
 *
 *     i32:7  f32:0.5                      a number
 *     buf:TYPE:COUNT                      a buffer that nobody wrote
 *     buf:TYPE:COUNT:zero                 of zeros
 *     buf:TYPE:COUNT:rand[:SEED]          of random numbers: floats in [-1,1), integers in [0,128)
 *     buf:TYPE:COUNT:FILE                 from the first bytes of a file
 *     ...>FILE                            a buffer that is written to a file afterwards
 *
 * TYPE: i8 u8 i16 u16 i32 u32 i64 u64 f16 bf16 f32 f64. */
#ifndef MOE_SIMULATE_ARG_H
#define MOE_SIMULATE_ARG_H

#include "machine/sim.h"

typedef struct simulate_type simulate_type;

typedef enum simulate_init { INIT_NONE, INIT_ZERO, INIT_RANDOM, INIT_FILE } simulate_init;

typedef struct simulate_arg {
    const simulate_type *type;
    bool buffer;
    uint64_t bits;  /* the number, or the buffer's address once it is allocated */
    uint64_t count; /* elements of a buffer */
    simulate_init init;
    uint64_t seed;
    char from[256], to[256]; /* files; "" = none */
} simulate_arg;

/* MOE_E_PARSE. Tensor maps are MOE_E_UNSUPPORTED. */
moe_status simulate_arg_parse(const char *text, simulate_arg *out);

/* Allocates a buffer on the simulated GPU and fills it; nothing for a number.
 * MOE_E_MEMORY, MOE_E_NOT_FOUND, MOE_E_IO, MOE_E_INVALID (the file is too short). */
moe_status simulate_arg_place(simulate_arg *arg, sim_context *gpu);

/* Bytes that the argument takes among the parameters; also its alignment. */
size_t simulate_arg_size(const simulate_arg *arg);

/* True if it can be a parameter of that PTX type, "u32": as wide, and no float for an integer; a
 * buffer is a u64 or b64. */
bool simulate_arg_fits(const simulate_arg *arg, const char *type);

/* Lays arguments out as the kernel's parameters (simulate_pack.c); a struct is given by its
 * members. MOE_E_INVALID names the parameter that one is missing for or does not fit. */
moe_status simulate_pack(const simulate_arg *args, int count, const sim_entry *entry,
                         unsigned char *packed);

/* "f32[1024] 0.5 0.25 ...": a buffer's type and first values after the launch. `text` gets a line
 * without its end. Writes the file if one was asked for. MOE_E_IO, MOE_E_MEMORY. */
moe_status simulate_arg_result(const simulate_arg *arg, sim_context *gpu, char *text, size_t size);

#endif
