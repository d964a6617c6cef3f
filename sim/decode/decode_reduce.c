/* decode_reduce.c - what atom, red and bulk reductions do, by the words of their opcodes. ORDER
 * reduction: reduce.h */
#include "decode/decode.h"

static int index_of(const sim_decoder *d, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (sim_has(d, names[i])) return i;
    return -1;
}

int sim_reduce_operation_of(const sim_decoder *d) {
    static const char *const names[] = {"add", "min",  "max", "and", "or",
                                        "xor", "exch", "cas", "inc", "dec"};

    return index_of(d, names, 10);
}

int sim_reduce_type_of(const sim_decoder *d) {
    static const char *const names[] = {"u32",   "s32",  "u64",    "s64", "f32", "f64", "f16",
                                        "f16x2", "bf16", "bf16x2", "b32", "b64", "b16"};

    return index_of(d, names, 13);
}
