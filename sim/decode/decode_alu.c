/* decode_alu.c - instructions of alu.def: from spelling to operation and operand widths. */
#include "decode/decode.h"

#include <string.h>

typedef struct spelling {
    const char *text; /* all spellings, separated by blanks */
    uint16_t op;
    uint8_t sources;
    uint8_t bits[4]; /* destination, then sources */
    bool compares;
} spelling;

#define u16 16
#define u32 32
#define u64 64
#define s16 16
#define s32 32
#define s64 64
#define f32 32
#define f64 64
static const spelling all[] = {
#define ALU1(id, D, A, class, spell, e) {spell, SIM_OP_##id, 1, {D, A, 0, 0}, false},
#define ALU2(id, D, A, B, class, spell, e) {spell, SIM_OP_##id, 2, {D, A, B, 0}, false},
#define ALU3(id, D, A, B, C, class, spell, e) {spell, SIM_OP_##id, 3, {D, A, B, C}, false},
#define ROUNDED1(id, mode, D, A, class, spell, e) {spell, SIM_OP_##id, 1, {D, A, 0, 0}, false},
#define ROUNDED2(id, mode, D, A, B, class, spell, e) {spell, SIM_OP_##id, 2, {D, A, B, 0}, false},
#define ROUNDED3(id, mode, D, A, B, C, class, spell, e)                                            \
    {spell, SIM_OP_##id, 3, {D, A, B, C}, false},
#define COMPARE(id, A, class, spell, e) {spell, SIM_OP_##id, 2, {1, A, A, 0}, true},
#include "decode/alu.def"
};
#undef ALU1
#undef ALU2
#undef ALU3
#undef ROUNDED1
#undef ROUNDED2
#undef ROUNDED3
#undef COMPARE
#undef u16
#undef u32
#undef u64
#undef s16
#undef s32
#undef s64
#undef f32
#undef f64

/* ------------------------------------------------------------------------------- spellings */

enum { SLOTS = 8192 };

typedef struct slot {
    const char *text; /* not terminated */
    uint32_t length;
    const spelling *meaning;
} slot;

typedef struct sim_spellings {
    slot slot[SLOTS];
} sim_spellings;

static uint32_t hash_text(const char *text, uint32_t length, bool compares) {
    uint32_t h = compares ? 7919 : 5381;

    for (uint32_t i = 0; i < length; i++) h = h * 33 ^ (uint8_t)text[i];
    return h ^ h >> 15;
}

static slot *find_slot(sim_spellings *table, const char *text, uint32_t length, bool compares) {
    for (uint32_t at = hash_text(text, length, compares);; at++) {
        slot *s = &table->slot[at % SLOTS];
        if (!s->text) return s;
        if (s->length == length && s->meaning->compares == compares &&
            memcmp(s->text, text, length) == 0)
            return s;
    }
}

const sim_spellings *sim_spellings_make(sim_arena *arena) {
    sim_spellings *table = sim_arena_alloc(arena, sizeof *table);

    for (unsigned i = 0; table && i < sizeof all / sizeof *all; i++) {
        for (const char *at = all[i].text; *at;) {
            uint32_t length = (uint32_t)strcspn(at, " ");
            *find_slot(table, at, length, all[i].compares) =
                (slot){.text = at, .length = length, .meaning = &all[i]};
            at += length;
            if (*at) at++;
        }
    }
    return table;
}

static const spelling *look_up(const sim_decoder *d, const char *text, bool compares) {
    sim_spellings *table = (sim_spellings *)(uintptr_t)d->isa->spellings;
    const slot *s = find_slot(table, text, (uint32_t)strlen(text), compares);

    return s->text ? s->meaning : NULL;
}

/* ------------------------------------------------------------------------------- instructions */

static moe_status decode_plain(sim_decoder *d, const spelling *meaning) {
    const ptx_statement *s = d->statement;
    int32_t source[3] = {0};
    sim_instruction in = {0};

    MOE_TRY(sim_expect(d, 1u + meaning->sources));
    for (unsigned i = 0; i < meaning->sources; i++)
        MOE_TRY(sim_source(d, &s->operand[1 + i], meaning->bits[1 + i], &source[i]));
    MOE_TRY(sim_destination(d, &s->operand[0], meaning->bits[0], &in.d));
    in.a = source[0];
    in.b = source[1];
    in.c = source[2];
    return sim_emit(d, (sim_op)meaning->op, in);
}

/* The opcode without its first part and without the boolean operator: "lt.ftz.f32". */
static uint32_t comparison_text(const sim_decoder *d, char *text, size_t size, uint32_t *join) {
    static const char *const joins[] = {"", "and", "or", "xor"};
    size_t length = 0;

    *join = 0;
    text[0] = 0;
    for (int i = 1; i < d->parts; i++) {
        uint32_t found = 0;
        for (uint32_t k = 1; k < 4; k++)
            if (strcmp(d->part[i], joins[k]) == 0) found = k;
        if (found) {
            *join = found;
            continue;
        }
        size_t part = strlen(d->part[i]);
        if (length + part + 2 > size) return 0;
        if (length) text[length++] = '.';
        memcpy(text + length, d->part[i], part + 1);
        length += part;
    }
    return (uint32_t)length;
}

/* ORDER comparison in exec_data.c */
static const char *const comparisons[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
                                          "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};

static int comparison_code(const sim_decoder *d) {
    for (int i = 0; i < 14; i++)
        if (sim_has(d, comparisons[i])) return i;
    return -1;
}

/* setp.CMP.f16x2 p|q, a, b and set.CMP.f16x2.f16x2 d, a, b */
static moe_status decode_pair(sim_decoder *d, bool set) {
    const ptx_statement *s = d->statement;
    int code = comparison_code(d);
    const char *type = d->part[d->parts - 1];
    sim_instruction in = {0};

    if (code < 0) return sim_unknown(d);
    MOE_TRY(sim_expect(d, 3));
    in.aux = (uint32_t)code | (strcmp(type, "bf16x2") == 0 ? 16 : 0);
    MOE_TRY(sim_source(d, &s->operand[1], 32, &in.a));
    MOE_TRY(sim_source(d, &s->operand[2], 32, &in.b));
    if (set) {
        const char *result = d->part[d->parts - 2];
        in.imm = strcmp(result, "u32") == 0 || strcmp(result, "s32") == 0 ? 2 : 1;
        MOE_TRY(sim_destination(d, &s->operand[0], 32, &in.d));
    } else {
        MOE_TRY(sim_predicate_destination(d, &s->operand[0], &in.d));
        if (s->operand[0].pair) MOE_TRY(sim_predicate_destination(d, s->operand[0].pair, &in.e));
    }
    return sim_emit(d, SIM_OP_setp_pair, in);
}

static moe_status decode_setp(sim_decoder *d) {
    const ptx_statement *s = d->statement;
    sim_instruction in = {0};
    char text[64];

    if (strstr(d->part[d->parts - 1], "f16x2")) return decode_pair(d, false);
    if (!comparison_text(d, text, sizeof text, &in.aux)) return sim_unknown(d);
    const spelling *meaning = look_up(d, text, true);
    if (!meaning) return sim_unknown(d);
    MOE_TRY(sim_expect(d, in.aux ? 4 : 3));
    MOE_TRY(sim_source(d, &s->operand[1], meaning->bits[1], &in.a));
    MOE_TRY(sim_source(d, &s->operand[2], meaning->bits[2], &in.b));
    if (in.aux) MOE_TRY(sim_predicate_source(d, &s->operand[3], &in.c));
    MOE_TRY(sim_predicate_destination(d, &s->operand[0], &in.d));
    if (s->operand[0].pair) MOE_TRY(sim_predicate_destination(d, s->operand[0].pair, &in.e));
    return sim_emit(d, (sim_op)meaning->op, in);
}

/* set.CMP[.BOOL].DTYPE.STYPE: a comparison into a hidden predicate, then its value. */
static moe_status decode_set(sim_decoder *d) {
    const ptx_statement *s = d->statement;
    const char *result = d->parts > 2 ? d->part[d->parts - 2] : "";
    unsigned bits = sim_type_bits(result);
    sim_instruction compare = {0}, in = {0};
    char text[64], shorter[64];

    if (strstr(d->part[d->parts - 1], "f16x2")) return decode_pair(d, true);
    if (!comparison_text(d, text, sizeof text, &compare.aux)) return sim_unknown(d);
    /* Drop the result type, which stands before the last dot. */
    char *last = strrchr(text, '.');
    if (!last || !bits) return sim_unknown(d);
    *last = 0;
    char *before = strrchr(text, '.');
    if (!before) return sim_unknown(d);
    *before = 0;
    strcpy(shorter, text);
    strcat(shorter, ".");
    strcat(shorter, last + 1);
    const spelling *meaning = look_up(d, shorter, true);
    if (!meaning) return sim_unknown(d);
    MOE_TRY(sim_expect(d, compare.aux ? 4 : 3));
    MOE_TRY(sim_source(d, &s->operand[1], meaning->bits[1], &compare.a));
    MOE_TRY(sim_source(d, &s->operand[2], meaning->bits[2], &compare.b));
    if (compare.aux) MOE_TRY(sim_predicate_source(d, &s->operand[3], &compare.c));
    MOE_TRY(sim_temporary(d, 1, &compare.d));
    in.c = compare.d;
    in.aux = bits;
    in.imm = strcmp(result, "f32") == 0    ? 0x3f800000
             : strcmp(result, "f16") == 0  ? 0x3c00
             : strcmp(result, "bf16") == 0 ? 0x3f80
                                           : 0xffffffff;
    MOE_TRY(sim_destination(d, &s->operand[0], bits, &in.d));
    MOE_TRY(sim_emit(d, (sim_op)meaning->op, compare));
    return sim_emit(d, SIM_OP_set_any, in);
}

/* A cvt may have registers wider than its types; those forms are left to decode_convert.c. */
static bool widths_match(const sim_decoder *d, const spelling *meaning) {
    const ptx_statement *s = d->statement;

    for (uint32_t i = 0; i < s->operands && i < 4; i++) {
        const ptx_operand *operand = &s->operand[i];
        if (operand->kind == PTX_REGISTER &&
            d->frame->function->width[operand->index] != meaning->bits[i])
            return false;
    }
    return true;
}

moe_status sim_decode_alu(sim_decoder *d, bool *known) {
    static const sim_mnemonic named[] = {{"setp", decode_setp}, {"set", decode_set}, {NULL, NULL}};
    const ptx_statement *s = d->statement;
    const char *text = s->opcode;
    char three[80];

    MOE_TRY(sim_decode_by_name(d, named, known));
    if (*known) return MOE_OK;
    /* min and max of three numbers are spelled like those of two */
    if (s->operands == 4 && (strcmp(d->part[0], "min") == 0 || strcmp(d->part[0], "max") == 0) &&
        strlen(text) < 70) {
        strcpy(three, text);
        text = strcat(three, "#3");
    }
    const spelling *meaning = look_up(d, text, false);
    if (meaning && strcmp(d->part[0], "cvt") == 0 && !widths_match(d, meaning)) meaning = NULL;
    *known = meaning && s->operands && s->operand[0].kind != PTX_LIST && s->operands > 1 &&
             s->operand[1].kind != PTX_LIST &&
             !(s->operand[1].kind == PTX_SPECIAL && sim_is_clock(s->operand[1].name));
    return *known ? decode_plain(d, meaning) : MOE_OK;
}
