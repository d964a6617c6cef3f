/* decode_convert.c - cvt, as far as alu.def does not have it. */
#include "decode/decode.h"
#include "decode/aux.h"

#include <string.h>

static int type_code(const char *name) {
    static const char *const names[] = {
#define CONVERT_TYPE(name) #name,
        CONVERT_TYPES
#undef CONVERT_TYPE
    };

    for (int i = 0; i < CONVERT_TYPE_COUNT; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

static uint32_t rounding(const sim_decoder *d) {
    if (sim_has(d, "rz") || sim_has(d, "rzi")) return CONVERT_ZERO;
    if (sim_has(d, "rm") || sim_has(d, "rmi")) return CONVERT_DOWN;
    if (sim_has(d, "rp") || sim_has(d, "rpi")) return CONVERT_UP;
    return CONVERT_EVEN;
}

static moe_status decode_cvt(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    int to = d->parts > 2 ? type_code(d->part[d->parts - 2]) : -1,
        from = type_code(d->part[d->parts - 1]);
    unsigned to_bits = 0, from_bits = 0;
    sim_instruction in = {0};

    if (to < 0 || from < 0 || sim_has(d, "relu") || sim_has(d, "satfinite")) return sim_unknown(d);
    MOE_TRY(sim_expect(d, 2));
    unsigned width = sim_type_bits(d->part[d->parts - 1]);
    MOE_TRY(sim_any_source(d, &operand[1], width < 16 ? 16 : width, &in.a, &from_bits));
    MOE_TRY(sim_any_destination(d, &operand[0], &in.d, &to_bits));
    if (from_bits < 16 || to_bits < 16) return sim_bad(d, "a predicate where a number should be");
    in.aux = (uint32_t)from | (uint32_t)to << CONVERT_TO_SHIFT |
             rounding(d) << CONVERT_ROUND_SHIFT |
             (uint32_t)(__builtin_ctz(from_bits / 8) - 1) << CONVERT_FROM_REGISTER_SHIFT |
             (uint32_t)(__builtin_ctz(to_bits / 8) - 1) << CONVERT_TO_REGISTER_SHIFT;
    if (sim_has(d, "sat")) in.aux |= CONVERT_SAT;
    if (sim_has(d, "ftz")) in.aux |= CONVERT_FTZ;
    if (sim_has(d, "rni") || sim_has(d, "rzi") || sim_has(d, "rmi") || sim_has(d, "rpi"))
        in.aux |= CONVERT_WHOLE;
    bool to_integer = to < CONVERT_FIRST_FLOAT, from_integer = from < CONVERT_FIRST_FLOAT;
    if (to_integer)
        return sim_emit(d, from_integer ? SIM_OP_cvt_integer : SIM_OP_cvt_to_integer, in);
    return sim_emit(d, SIM_OP_cvt_to_float, in);
}

/* Conversions of alu.def whose registers are wider than their types come here. */
moe_status sim_decode_convert(sim_decoder *d, bool *known) {
    static const sim_mnemonic table[] = {{"cvt", decode_cvt}, {NULL, NULL}};

    return sim_decode_by_name(d, table, known);
}
