/* decode_data.c - moves, predicates, selection, carries and address conversions. */
#include "decode/decode.h"

#include <string.h>

/* ---- mov */

static moe_status decode_mov_pred(sim_decoder *d) {
    sim_instruction in = {0};

    MOE_TRY(sim_predicate_source(d, &d->statement->operand[1], &in.a));
    MOE_TRY(sim_predicate_destination(d, &d->statement->operand[0], &in.d));
    return in.d ? sim_emit(d, SIM_OP_pred_mov, in) : MOE_OK;
}

/* mov.b64 d, {a, b} and mov.b64 {a, b}, s */
static moe_status decode_pack(sim_decoder *d, unsigned bits, bool pack) {
    const ptx_operand *list = &d->statement->operand[pack ? 1 : 0];
    const ptx_operand *whole = &d->statement->operand[pack ? 0 : 1];
    sim_instruction in = {0};
    int32_t *registers;
    uint32_t count = list->index;

    if (!count || bits % count || bits / count < 8) return sim_bad(d, "a vector of wrong length");
    unsigned part = bits / count, width = part < 16 ? 16 : part;
    if (pack) MOE_TRY(sim_list(d, list, width, true, &registers, &count));
    else MOE_TRY(sim_source(d, whole, bits, &in.a));
    if (pack) MOE_TRY(sim_destination(d, whole, bits, &in.d));
    else MOE_TRY(sim_list(d, list, width, false, &registers, &count));
    in.list = registers;
    in.imm = count;
    in.aux = part | bits << 8;
    if (bits == 128) in.aux = pack ? 1 : 2;
    return sim_emit(d, bits == 128 ? SIM_OP_mov_b128 : pack ? SIM_OP_pack : SIM_OP_unpack, in);
}

bool sim_is_clock(const char *name) {
    return strstr(name, "clock") || strstr(name, "globaltimer");
}

/* mov.u32 d, %clock and its kin */
static moe_status decode_clock(sim_decoder *d, unsigned bits) {
    static const char *const names[] = {"%clock",       "%clock_hi",       "%clock64",
                                        "%globaltimer", "%globaltimer_lo", "%globaltimer_hi"};
    const char *name = d->statement->operand[1].name;
    sim_instruction in = {.aux = (bits == 64 ? 64u : 0) | (strstr(name, "_hi") != NULL)};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) != 0) continue;
        MOE_TRY(sim_destination(d, &d->statement->operand[0], bits, &in.d));
        return sim_emit(d, SIM_OP_clock, in);
    }
    return moe_fail(MOE_E_UNSUPPORTED, "PTX line %u: the simulator does not know the register '%s'",
                    d->statement->line, name);
}

static moe_status decode_mov(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    unsigned bits = sim_type_bits(d->part[d->parts - 1]);

    MOE_TRY(sim_expect(d, 2));
    if (bits == 1) return decode_mov_pred(d);
    if (operand[0].kind == PTX_LIST) return decode_pack(d, bits, false);
    if (operand[1].kind == PTX_LIST) return decode_pack(d, bits, true);
    if (operand[1].kind == PTX_SPECIAL) return decode_clock(d, bits);
    if (bits != 128) return sim_unknown(d);
    sim_instruction in = {0};
    MOE_TRY(sim_source(d, &operand[1], 128, &in.a));
    MOE_TRY(sim_destination(d, &operand[0], 128, &in.d));
    return sim_emit(d, SIM_OP_mov_b128, in);
}

/* ---- predicates and selection */

static moe_status decode_predicate_logic(sim_decoder *d, sim_op op) {
    const ptx_operand *operand = d->statement->operand;
    bool one = op == SIM_OP_pred_not;
    sim_instruction in = {0};

    if (d->parts != 2 || strcmp(d->part[1], "pred") != 0) return sim_unknown(d);
    MOE_TRY(sim_expect(d, one ? 2 : 3));
    MOE_TRY(sim_predicate_source(d, &operand[1], &in.a));
    if (!one) MOE_TRY(sim_predicate_source(d, &operand[2], &in.b));
    MOE_TRY(sim_predicate_destination(d, &operand[0], &in.d));
    return sim_emit(d, op, in);
}

static moe_status decode_and(sim_decoder *d) {
    return decode_predicate_logic(d, SIM_OP_pred_and);
}

static moe_status decode_or(sim_decoder *d) {
    return decode_predicate_logic(d, SIM_OP_pred_or);
}

static moe_status decode_xor(sim_decoder *d) {
    return decode_predicate_logic(d, SIM_OP_pred_xor);
}

static moe_status decode_not(sim_decoder *d) {
    return decode_predicate_logic(d, SIM_OP_pred_not);
}

static moe_status decode_selp(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    unsigned bits = sim_type_bits(d->part[d->parts - 1]);
    sim_instruction in = {0};

    MOE_TRY(sim_expect(d, 4));
    if (bits < 16 || bits > 64) return sim_unknown(d);
    MOE_TRY(sim_source(d, &operand[1], bits, &in.a));
    MOE_TRY(sim_source(d, &operand[2], bits, &in.b));
    MOE_TRY(sim_predicate_source(d, &operand[3], &in.c));
    MOE_TRY(sim_destination(d, &operand[0], bits, &in.d));
    return sim_emit(d,
                    bits == 16   ? SIM_OP_selp_16
                    : bits == 32 ? SIM_OP_selp_32
                                 : SIM_OP_selp_64,
                    in);
}

static moe_status decode_slct(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    unsigned bits = d->parts > 2 ? sim_type_bits(d->part[d->parts - 2]) : 0;
    bool floats = strcmp(d->part[d->parts - 1], "f32") == 0;
    sim_instruction in = {0};

    MOE_TRY(sim_expect(d, 4));
    if (bits != 32 && bits != 64) return sim_unknown(d);
    MOE_TRY(sim_source(d, &operand[1], bits, &in.a));
    MOE_TRY(sim_source(d, &operand[2], bits, &in.b));
    MOE_TRY(sim_source(d, &operand[3], 32, &in.c));
    MOE_TRY(sim_destination(d, &operand[0], bits, &in.d));
    if (bits == 32) return sim_emit(d, floats ? SIM_OP_slct_f32_32 : SIM_OP_slct_s32_32, in);
    return sim_emit(d, floats ? SIM_OP_slct_f32_64 : SIM_OP_slct_s32_64, in);
}

static moe_status decode_testp(sim_decoder *d) {
    static const char *const properties[] = {"finite",     "infinite", "number",
                                             "notanumber", "normal",   "subnormal"};
    unsigned bits = sim_type_bits(d->part[d->parts - 1]);
    sim_instruction in = {.aux = 99};

    MOE_TRY(sim_expect(d, 2));
    for (unsigned i = 0; i < 6; i++)
        if (sim_has(d, properties[i])) in.aux = i;
    if (in.aux == 99 || bits < 32) return sim_unknown(d);
    MOE_TRY(sim_source(d, &d->statement->operand[1], bits, &in.a));
    MOE_TRY(sim_predicate_destination(d, &d->statement->operand[0], &in.d));
    return sim_emit(d, bits == 32 ? SIM_OP_testp_f32 : SIM_OP_testp_f64, in);
}

/* lop3.JOIN.b32 d|p, a, b, c, table, q: also p = (d != 0) JOIN q */
static moe_status emit_lop3_test(sim_decoder *d, uint32_t join, int32_t result) {
    const ptx_operand *operand = d->statement->operand;
    sim_instruction in = {.a = result, .aux = join};

    if (!operand[0].pair) return sim_bad(d, "a predicate to be written is missing");
    MOE_TRY(sim_constant(d, 0, 32, &in.b));
    MOE_TRY(sim_predicate_source(d, &operand[5], &in.c));
    MOE_TRY(sim_predicate_destination(d, operand[0].pair, &in.d));
    return sim_emit(d, SIM_OP_ne_b32, in);
}

/* lop3[.JOIN].b32 d[|p], a, b, c, table[, q]; ORDER join in decode_alu.c */
static moe_status decode_lop3(sim_decoder *d) {
    static const char *const joins[] = {"", "and", "or", "xor"};
    const ptx_operand *operand = d->statement->operand;
    sim_instruction in = {0};
    uint32_t join = 0;

    for (uint32_t i = 1; i < 4; i++)
        if (d->parts == 3 && strcmp(d->part[1], joins[i]) == 0) join = i;
    if (d->parts != (join ? 3 : 2)) return sim_unknown(d);
    MOE_TRY(sim_expect(d, join ? 6 : 5));
    if (operand[4].kind != PTX_IMMEDIATE) return sim_bad(d, "a truth table that is no constant");
    in.aux = (uint32_t)operand[4].value & 255;
    MOE_TRY(sim_source(d, &operand[1], 32, &in.a));
    MOE_TRY(sim_source(d, &operand[2], 32, &in.b));
    MOE_TRY(sim_source(d, &operand[3], 32, &in.c));
    MOE_TRY(sim_destination(d, &operand[0], 32, &in.d));
    MOE_TRY(sim_emit(d, SIM_OP_lop3, in));
    return join ? emit_lop3_test(d, join, in.d) : MOE_OK;
}

static moe_status decode_bfi(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    unsigned bits = sim_type_bits(d->part[d->parts - 1]);
    sim_instruction in = {0};

    if (d->parts != 2 || (bits != 32 && bits != 64)) return sim_unknown(d);
    MOE_TRY(sim_expect(d, 5));
    MOE_TRY(sim_source(d, &operand[1], bits, &in.a));
    MOE_TRY(sim_source(d, &operand[2], bits, &in.b));
    MOE_TRY(sim_source(d, &operand[3], 32, &in.c));
    MOE_TRY(sim_source(d, &operand[4], 32, &in.e));
    MOE_TRY(sim_destination(d, &operand[0], bits, &in.d));
    return sim_emit(d, bits == 32 ? SIM_OP_bfi_b32 : SIM_OP_bfi_b64, in);
}

/* ---- carry chains: add.cc, addc[.cc], sub.cc, subc[.cc], mad.{lo,hi}.cc, madc */

static moe_status decode_carry(sim_decoder *d, sim_op op) {
    const ptx_operand *operand = d->statement->operand;
    unsigned bits = sim_type_bits(d->part[d->parts - 1]);
    bool multiplies = op == SIM_OP_mad_cc;
    sim_instruction in = {0};

    if (bits != 32 && bits != 64) return sim_unknown(d);
    MOE_TRY(sim_expect(d, multiplies ? 4 : 3));
    size_t length = strlen(d->part[0]);
    if (d->part[0][length - 1] == 'c') in.aux |= 1;
    if (sim_has(d, "cc")) in.aux |= 2;
    if (!in.aux) return sim_unknown(d);
    if (sim_has(d, "hi")) in.aux |= 4;
    if (d->part[d->parts - 1][0] == 's') in.aux |= 8;
    if (bits == 64) in.aux |= 64;
    MOE_TRY(sim_source(d, &operand[1], bits, &in.a));
    MOE_TRY(sim_source(d, &operand[2], bits, &in.b));
    if (multiplies) MOE_TRY(sim_source(d, &operand[3], bits, &in.c));
    MOE_TRY(sim_destination(d, &operand[0], bits, &in.d));
    return sim_emit(d, op, in);
}

static moe_status decode_add(sim_decoder *d) {
    return decode_carry(d, SIM_OP_add_cc);
}

static moe_status decode_sub(sim_decoder *d) {
    return decode_carry(d, SIM_OP_sub_cc);
}

static moe_status decode_mad(sim_decoder *d) {
    return decode_carry(d, SIM_OP_mad_cc);
}

/* ---- address spaces */

static uint32_t window_of(const sim_decoder *d) {
    if (sim_has(d, "shared") || sim_has(d, "shared::cta")) return SIM_WINDOW_SHARED;
    if (sim_has(d, "local")) return SIM_WINDOW_LOCAL;
    if (sim_has(d, "param") || sim_has(d, "param::entry")) return SIM_WINDOW_PARAM;
    return 0; /* global and const addresses are generic already */
}

static moe_status decode_cvta(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    sim_instruction in = {.aux = window_of(d)};
    bool to = sim_has(d, "to");

    MOE_TRY(sim_expect(d, 2));
    if (strcmp(d->part[d->parts - 1], "u64") != 0) return sim_unknown(d);
    MOE_TRY(sim_source(d, &operand[1], 64, &in.a));
    MOE_TRY(sim_destination(d, &operand[0], 64, &in.d));
    if (!in.aux) return sim_emit(d, SIM_OP_mov_b64, in);
    return sim_emit(d, to ? SIM_OP_cvta_to : SIM_OP_cvta_from, in);
}

static moe_status decode_isspacep(sim_decoder *d) {
    sim_instruction in = {.aux = SIM_GLOBAL};

    MOE_TRY(sim_expect(d, 2));
    if (window_of(d) == SIM_WINDOW_SHARED) in.aux = SIM_SHARED;
    if (window_of(d) == SIM_WINDOW_LOCAL) in.aux = SIM_LOCAL;
    if (window_of(d) == SIM_WINDOW_PARAM) in.aux = SIM_PARAM;
    if (sim_has(d, "const")) in.aux = SIM_CONST;
    MOE_TRY(sim_source(d, &d->statement->operand[1], 64, &in.a));
    MOE_TRY(sim_predicate_destination(d, &d->statement->operand[0], &in.d));
    return sim_emit(d, SIM_OP_isspacep, in);
}

/* createpolicy: caches have no policies here. */
static moe_status decode_policy(sim_decoder *d) {
    sim_instruction in = {0};

    if (sim_type_bits(d->part[d->parts - 1]) != 64) return sim_unknown(d);
    MOE_TRY(sim_constant(d, 0, 64, &in.a));
    MOE_TRY(sim_destination(d, &d->statement->operand[0], 64, &in.d));
    return sim_emit(d, SIM_OP_mov_b64, in);
}

moe_status sim_decode_data(sim_decoder *d, bool *known) {
    static const sim_mnemonic table[] = {
        {"mov", decode_mov},   {"and", decode_and},     {"or", decode_or},
        {"xor", decode_xor},   {"not", decode_not},     {"selp", decode_selp},
        {"slct", decode_slct}, {"testp", decode_testp}, {"lop3", decode_lop3},
        {"bfi", decode_bfi},   {"add", decode_add},     {"addc", decode_add},
        {"sub", decode_sub},   {"subc", decode_sub},    {"mad", decode_mad},
        {"madc", decode_mad},  {"cvta", decode_cvta},   {"isspacep", decode_isspacep},
        {"createpolicy", decode_policy},
        {NULL, NULL},
    };

    return sim_decode_by_name(d, table, known);
}
