/* decode_matrix.c - matrix loads and multiplications. */
#include "decode/aux.h"
#include "decode/decode.h"

#include <string.h>

static uint32_t matrix_count(const sim_decoder *d) {
    return sim_has(d, "x4") ? 4 : sim_has(d, "x2") ? 2 : sim_has(d, "x1") ? 1 : 0;
}

/* ldmatrix.sync.aligned.m8n8.xN[.trans].shared.b16 {...}, [a] and stmatrix with both swapped */
static moe_status decode_rows(sim_decoder *d, bool load) {
    const ptx_operand *operand = d->statement->operand;
    sim_instruction in = {.d = sim_has(d, "trans"), .e = (int32_t)matrix_count(d)};
    int32_t *list;
    uint32_t count;

    if (!in.e || !sim_has(d, "m8n8") || !sim_has(d, "b16")) return sim_unknown(d);
    MOE_TRY(sim_expect(d, 2));
    MOE_TRY(sim_address(d, &operand[load ? 1 : 0], &in));
    if (!sim_has(d, "shared") && !sim_has(d, "shared::cta")) in.aux |= MATRIX_GENERIC;
    MOE_TRY(sim_list(d, &operand[load ? 0 : 1], 32, !load, &list, &count));
    if (count != (uint32_t)in.e) return sim_bad(d, "a vector of wrong length");
    in.list = list;
    return sim_emit(d, load ? SIM_OP_ldmatrix : SIM_OP_stmatrix, in);
}

static moe_status decode_ldmatrix(sim_decoder *d) {
    return decode_rows(d, true);
}

static moe_status decode_stmatrix(sim_decoder *d) {
    return decode_rows(d, false);
}

static moe_status decode_movmatrix(sim_decoder *d) {
    sim_instruction in = {0};

    if (!sim_has(d, "m8n8") || !sim_has(d, "trans") || !sim_has(d, "b16")) return sim_unknown(d);
    MOE_TRY(sim_expect(d, 2));
    MOE_TRY(sim_source(d, &d->statement->operand[1], 32, &in.a));
    MOE_TRY(sim_destination(d, &d->statement->operand[0], 32, &in.d));
    return sim_emit(d, SIM_OP_movmatrix, in);
}

/* mma.sync.aligned.SHAPE.row.col.D.A.B.C: how many registers each operand has */
static const struct {
    const char *types; /* SHAPE.D.A.B.C */
    sim_op op;
    uint32_t aux;
    uint8_t registers[4]; /* d, a, b, c */
} shapes[] = {
    {"m16n8k16.f32.bf16.bf16.f32", SIM_OP_mma_m16n8k16_f32, 1, {4, 4, 2, 4}},
    {"m16n8k16.f32.f16.f16.f32", SIM_OP_mma_m16n8k16_f32, 0, {4, 4, 2, 4}},
    {"m16n8k16.f16.f16.f16.f16", SIM_OP_mma_m16n8k16_f16, 0, {2, 4, 2, 2}},
    {"m16n8k8.f32.bf16.bf16.f32", SIM_OP_mma_m16n8k8_f32, 1, {4, 2, 1, 4}},
    {"m16n8k8.f32.f16.f16.f32", SIM_OP_mma_m16n8k8_f32, 0, {4, 2, 1, 4}},
    {"m16n8k8.f16.f16.f16.f16", SIM_OP_mma_m16n8k8_f16, 0, {2, 2, 1, 2}},
    {"m16n8k8.f32.tf32.tf32.f32", SIM_OP_mma_m16n8k8_tf32, 0, {4, 4, 2, 4}},
    {"m16n8k4.f32.tf32.tf32.f32", SIM_OP_mma_m16n8k4_tf32, 0, {4, 2, 1, 4}},
};

static moe_status emit_mma(sim_decoder *d, unsigned shape) {
    const ptx_operand *operand = d->statement->operand;
    int32_t *list = sim_arena_alloc(d->arena, 16 * sizeof *list), *part;
    uint32_t at[4] = {0}, count;
    sim_instruction in = {.list = list, .aux = shapes[shape].aux};

    if (!list) return sim_no_memory();
    for (int i = 1; i < 4; i++) at[i] = at[i - 1] + shapes[shape].registers[i - 1];
    for (int k = 0; k < 4; k++) {
        int i = (k + 1) % 4; /* what is read first, then d */
        MOE_TRY(sim_list(d, &operand[i], 32, i != 0, &part, &count));
        if (count != shapes[shape].registers[i]) return sim_bad(d, "a fragment of wrong size");
        memcpy(list + at[i], part, count * sizeof *part);
    }
    return sim_emit(d, shapes[shape].op, in);
}

static moe_status decode_mma(sim_decoder *d) {
    char types[80] = "";

    if (d->parts != 10 || !sim_has(d, "sync") || strcmp(d->part[4], "row") != 0 ||
        strcmp(d->part[5], "col") != 0)
        return sim_unknown(d);
    MOE_TRY(sim_expect(d, 4));
    for (int i = 3; i < 10; i++) {
        if (i == 4 || i == 5) continue;
        if (strlen(types) + strlen(d->part[i]) + 2 > sizeof types) return sim_unknown(d);
        if (i > 3) strcat(types, ".");
        strcat(types, d->part[i]);
    }
    for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(shapes[i].types, types) == 0) return emit_mma(d, i);
    return sim_unknown(d);
}

moe_status sim_decode_matrix(sim_decoder *d, bool *known) {
    static const sim_mnemonic table[] = {
        {"ldmatrix", decode_ldmatrix},
        {"stmatrix", decode_stmatrix},
        {"movmatrix", decode_movmatrix},
        {"mma", decode_mma},
        {NULL, NULL},
    };

    return sim_decode_by_name(d, table, known);
}
