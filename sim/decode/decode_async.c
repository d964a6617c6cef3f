/* decode_async.c - mbarriers, bulk copies, and matrix operations of warpgroups. */
#include "decode/decode.h"
#include "decode/aux.h"
#include "number/reduce.h"

#include <stdio.h>
#include <string.h>

/* [a] of shared memory: 32 bits wide, whatever the register is. */
static moe_status shared_address(sim_decoder *d, const ptx_operand *operand, int32_t *base,
                                 int32_t *offset) {
    sim_instruction in = {0};

    MOE_TRY(sim_address(d, operand, &in));
    if (!(in.aux & MEMORY_NARROW)) return sim_bad(d, "a shared address that has not 32 bits");
    *base = in.a;
    *offset = (int32_t)in.imm;
    return MOE_OK;
}

/* ---- mbarrier.* */

static bool is(const sim_decoder *d, const char *part) {
    return d->parts > 1 && strcmp(d->part[1], part) == 0;
}

static moe_status decode_wait(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    uint32_t count = d->statement->operands;
    bool parity = sim_has(d, "parity");
    sim_instruction in = {0};

    if (count < 3 || count > 4) return sim_bad(d, "wrong number of operands");
    MOE_TRY(sim_address(d, &operand[1], &in));
    if (!parity) in.aux |= MBARRIER_STATE;
    MOE_TRY(sim_source(d, &operand[2], parity ? 32 : 64, &in.b));
    MOE_TRY(sim_predicate_destination(d, &operand[0], &in.d));
    return sim_emit(d, SIM_OP_mbarrier_wait, in);
}

static moe_status decode_arrive(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    uint32_t count = d->statement->operands;
    bool expects = sim_has(d, "expect_tx");
    sim_instruction in = {0};

    if (sim_has(d, "noComplete") || count < 2 || count > 3 || (expects && count != 3))
        return sim_unknown(d);
    MOE_TRY(sim_address(d, &operand[1], &in));
    if (expects) in.aux |= MBARRIER_EXPECT;
    if (count == 3) MOE_TRY(sim_source(d, &operand[2], 32, &in.b));
    if (operand[0].kind != PTX_SINK) MOE_TRY(sim_destination(d, &operand[0], 64, &in.d));
    return sim_emit(d, SIM_OP_mbarrier_arrive, in);
}

static moe_status decode_expect(sim_decoder *d) {
    sim_instruction in = {0};

    MOE_TRY(sim_expect(d, 2));
    MOE_TRY(sim_address(d, &d->statement->operand[0], &in));
    in.aux |= MBARRIER_EXPECT | MBARRIER_NO_ARRIVAL;
    MOE_TRY(sim_source(d, &d->statement->operand[1], 32, &in.b));
    return sim_emit(d, SIM_OP_mbarrier_arrive, in);
}

static moe_status decode_mbarrier(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    sim_instruction in = {0};

    d->kernel->shared_atomics = true;
    if (is(d, "try_wait") || is(d, "test_wait")) return decode_wait(d);
    if (is(d, "arrive")) return decode_arrive(d);
    if (is(d, "expect_tx")) return decode_expect(d);
    if (!is(d, "init") && !is(d, "inval")) return sim_unknown(d);
    MOE_TRY(sim_expect(d, is(d, "init") ? 2 : 1));
    MOE_TRY(sim_address(d, &operand[0], &in));
    if (is(d, "inval")) return sim_emit(d, SIM_OP_mbarrier_inval, in);
    MOE_TRY(sim_source(d, &operand[1], 32, &in.b));
    return sim_emit(d, SIM_OP_mbarrier_init, in);
}

/* cp.async.mbarrier.arrive.noinc.shared.b64 [a] */
moe_status sim_decode_copy_arrival(sim_decoder *d) {
    sim_instruction in = {0};

    if (!sim_has(d, "arrive") || !sim_has(d, "noinc")) return sim_unknown(d);
    MOE_TRY(sim_expect(d, 1));
    MOE_TRY(sim_address(d, &d->statement->operand[0], &in));
    return sim_emit(d, SIM_OP_mbarrier_copies, in);
}

/* ---- cp.async.bulk.* */

/* [map, {c0, c1, ...}] */
static moe_status tensor_address(sim_decoder *d, const ptx_operand *operand, sim_instruction *in) {
    int32_t *list;
    uint32_t count;

    if (!operand->pair) return sim_bad(d, "a tensor without coordinates");
    MOE_TRY(sim_address(d, operand, in));
    MOE_TRY(sim_list(d, operand->pair, 32, true, &list, &count));
    in->list = list;
    in->f = (int32_t)count;
    in->aux |= BULK_TENSOR;
    return MOE_OK;
}

/* Puts a 16-bit operand behind the list. */
static moe_status append(sim_decoder *d, const ptx_operand *operand, sim_instruction *in) {
    int32_t *list = sim_arena_alloc(d->arena, ((size_t)in->f + 1) * sizeof *list);

    if (!list) return sim_no_memory();
    memcpy(list, in->list, (size_t)in->f * sizeof *list);
    in->list = list;
    return sim_source(d, operand, 16, &list[in->f]);
}

/* cp.reduce: the operation; without a tensor also the type, which must have it. */
static moe_status decode_bulk_reduction(sim_decoder *d, bool tensor, sim_instruction *in) {
    int operation = sim_reduce_operation_of(d), type = tensor ? 0 : sim_reduce_type_of(d);
    sim_reduction reduction = {(uint8_t)operation, (uint8_t)type, true};
    bool half = type == SIM_T_f16 || type == SIM_T_bf16;

    if (operation < 0 || type < 0) return sim_unknown(d);
    if (!tensor && !sim_reduce_bulk_legal(reduction))
        return sim_bad(d, "an operation that bulk reductions of this type do not have");
    if (operation == SIM_ADD && sim_has(d, "noftz") != half)
        return sim_bad(d, "additions of f16 and bf16 without a tensor, and only they, take .noftz");
    in->e = REDUCTION(operation, type);
    in->aux |= BULK_REDUCE;
    return MOE_OK;
}

/* dst, src[, bytes][, mbarrier][, mask] in either direction */
static moe_status decode_bulk_copy(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    bool tensor = sim_has(d, "tensor"), load = sim_has(d, "mbarrier::complete_tx::bytes");
    const ptx_operand *shared = &operand[load ? 0 : 1], *global = &operand[load ? 1 : 0];
    uint32_t count = d->statement->operands - sim_has(d, "L2::cache_hint");
    bool multicast = sim_has(d, "multicast::cluster"), reduces = sim_has(d, "reduce");
    sim_instruction in = {0};

    if (sim_has(d, "im2col") || (multicast && !(tensor && load))) return sim_unknown(d);
    if (load == sim_has(d, "bulk_group") || (load && reduces)) return sim_unknown(d);
    if (count != 2u + !tensor + load + multicast) return sim_bad(d, "wrong number of operands");
    if (tensor) MOE_TRY(tensor_address(d, global, &in));
    else MOE_TRY(sim_address(d, global, &in));
    if (in.aux & MEMORY_NARROW) return sim_bad(d, "a global address of 32 bits");
    if (!load) in.aux |= BULK_STORE;
    if (reduces) MOE_TRY(decode_bulk_reduction(d, tensor, &in));
    if (!tensor) MOE_TRY(sim_source(d, &operand[2], 32, &in.f));
    MOE_TRY(shared_address(d, shared, &in.b, &in.c));
    if (load) MOE_TRY(shared_address(d, &operand[count - 1 - multicast], &in.d, &in.e));
    if (multicast) {
        MOE_TRY(append(d, &operand[count - 1], &in));
        in.aux |= BULK_MULTICAST;
    }
    return sim_emit(d, SIM_OP_bulk_copy, in);
}

moe_status sim_decode_bulk(sim_decoder *d) {
    sim_instruction in = {0};

    if (sim_has(d, "commit_group")) return sim_emit(d, SIM_OP_bulk_commit, in);
    if (sim_has(d, "prefetch")) return sim_emit(d, SIM_OP_nop, in);
    if (!sim_has(d, "wait_group")) return decode_bulk_copy(d);
    MOE_TRY(sim_expect(d, 1));
    in.imm = d->statement->operand[0].value;
    if (sim_has(d, "read")) in.aux |= BULK_READ;
    return sim_emit(d, SIM_OP_bulk_wait, in);
}

/* ---- fences of the asynchronous proxy */

moe_status sim_decode_proxy_fence(sim_decoder *d) {
    if (sim_has(d, "mbarrier_init")) return sim_emit(d, SIM_OP_nop, (sim_instruction){0});
    if (!sim_has(d, "async")) return sim_unknown(d);
    return sim_emit(d, SIM_OP_proxy_fence, (sim_instruction){0});
}

/* ---- wgmma.* */

/* The n of m64nNk16. */
static uint32_t shape_columns(const sim_decoder *d) {
    for (int i = 1; i < d->parts; i++) {
        unsigned n = 0, k = 0;
        if (sscanf(d->part[i], "m64n%uk%u", &n, &k) == 2 && k == 16 && n % 8 == 0 && n <= 256)
            return n;
    }
    return 0;
}

/* An immediate that is one of two values: adds the flag for the second. */
static moe_status choice(sim_decoder *d, const ptx_operand *operand, int64_t first, int64_t second,
                         uint32_t flag, sim_instruction *in) {
    if (operand->kind != PTX_IMMEDIATE || (operand->value != first && operand->value != second))
        return sim_bad(d, "scales are immediates of 1 or -1, transpositions of 0 or 1");
    if (operand->value == second) in->aux |= flag;
    return MOE_OK;
}

/* d, a, b, p, scale-a, scale-b[, trans-a], trans-b; without trans-a if a is in registers */
static moe_status decode_wgmma_product(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    bool brain = sim_has(d, "bf16"), registers = operand[1].kind == PTX_LIST;
    uint32_t n = shape_columns(d), count = 0, left = 0;
    sim_instruction in = {.aux = brain ? WGMMA_BRAIN : 0, .e = (int32_t)n};
    int32_t *sums, *factors = NULL;

    if (!n || !sim_has(d, "f32") || !(brain || sim_has(d, "f16"))) return sim_unknown(d);
    MOE_TRY(sim_expect(d, registers ? 7 : 8));
    MOE_TRY(choice(d, &operand[4], 1, -1, WGMMA_NEGATE_A, &in));
    MOE_TRY(choice(d, &operand[5], 1, -1, WGMMA_NEGATE_B, &in));
    if (!registers) MOE_TRY(choice(d, &operand[6], 0, 1, WGMMA_TRANSPOSE_A, &in));
    MOE_TRY(choice(d, &operand[registers ? 6 : 7], 0, 1, WGMMA_TRANSPOSE_B, &in));
    if (registers) MOE_TRY(sim_list(d, &operand[1], 32, true, &factors, &left));
    else MOE_TRY(sim_source(d, &operand[1], 64, &in.a));
    MOE_TRY(sim_source(d, &operand[2], 64, &in.b));
    MOE_TRY(sim_predicate_source(d, &operand[3], &in.c));
    MOE_TRY(sim_list(d, &operand[0], 32, false, &sums, &count));
    if (count != n / 2 || (registers && left != 4)) return sim_bad(d, "a fragment of wrong size");
    int32_t *list = sim_arena_alloc(d->arena, (count + left + 1) * sizeof *list);
    if (!list) return sim_no_memory();
    memcpy(list, sums, count * sizeof *list);
    if (left) memcpy(list + count, factors, left * sizeof *list);
    in.list = list;
    MOE_TRY(sim_lend(d, &operand[0]));
    if (registers) MOE_TRY(sim_lend(d, &operand[1]));
    return sim_emit(d, SIM_OP_wgmma, in);
}

static moe_status decode_wgmma(sim_decoder *d) {
    sim_instruction in = {0};

    if (sim_has(d, "fence")) return sim_emit(d, SIM_OP_wgmma_fence, in);
    if (sim_has(d, "commit_group")) return sim_emit(d, SIM_OP_wgmma_commit, in);
    if (sim_has(d, "mma_async")) return decode_wgmma_product(d);
    if (!sim_has(d, "wait_group")) return sim_unknown(d);
    MOE_TRY(sim_expect(d, 1));
    in.imm = d->statement->operand[0].value;
    return sim_emit(d, SIM_OP_wgmma_wait, in);
}

/* The width of an address that a block's rank is in: of the shared window, or generic. */
static moe_status cluster_bits(const sim_decoder *d, uint32_t *bits) {
    *bits = sim_has(d, "u64") ? 64 : 32;
    return *bits == 64 || sim_has(d, "shared::cluster") ? MOE_OK : sim_unknown(d);
}

/* mapa{.shared::cluster}.u32|u64 d, a, rank */
static moe_status decode_mapa(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    sim_instruction in = {0};

    MOE_TRY(cluster_bits(d, &in.aux));
    MOE_TRY(sim_expect(d, 3));
    MOE_TRY(sim_source(d, &operand[1], in.aux, &in.a));
    MOE_TRY(sim_source(d, &operand[2], 32, &in.b));
    MOE_TRY(sim_destination(d, &operand[0], in.aux, &in.d));
    return sim_emit(d, SIM_OP_mapa, in);
}

/* getctarank d, a */
static moe_status decode_getctarank(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    sim_instruction in = {0};

    MOE_TRY(cluster_bits(d, &in.aux));
    MOE_TRY(sim_expect(d, 2));
    MOE_TRY(sim_source(d, &operand[1], in.aux, &in.a));
    MOE_TRY(sim_destination(d, &operand[0], 32, &in.d));
    return sim_emit(d, SIM_OP_getctarank, in);
}

static moe_status decode_setmaxnreg(sim_decoder *d) {
    MOE_TRY(sim_expect(d, 1));
    return sim_emit(d, SIM_OP_setmaxnreg,
                    (sim_instruction){.imm = d->statement->operand[0].value,
                                      .aux = sim_has(d, "inc")});
}

moe_status sim_decode_async(sim_decoder *d, bool *known) {
    static const sim_mnemonic table[] = {
        {"mbarrier", decode_mbarrier},
        {"wgmma", decode_wgmma},
        {"setmaxnreg", decode_setmaxnreg},
        {"mapa", decode_mapa},
        {"getctarank", decode_getctarank},
        {NULL, NULL},
    };

    return sim_decode_by_name(d, table, known);
}
