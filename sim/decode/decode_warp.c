/* decode_warp.c - shuffles, votes, barriers and other instructions of warps and blocks. */
#include "decode/decode.h"

#include <string.h>

static int index_among(const sim_decoder *d, const char *const *names) {
    for (int i = 0; names[i]; i++)
        if (sim_has(d, names[i])) return i;
    return -1;
}

/* shfl.sync.MODE.b32 d|p, a, b, c, mask */
static moe_status decode_shfl(sim_decoder *d) {
    static const char *const modes[] = {"up", "down", "bfly", "idx", NULL};
    const ptx_operand *operand = d->statement->operand;
    int mode = index_among(d, modes);
    sim_instruction in = {.aux = (uint32_t)mode};

    if (mode < 0 || !sim_has(d, "sync")) return sim_unknown(d);
    MOE_TRY(sim_expect(d, 5));
    MOE_TRY(sim_source(d, &operand[1], 32, &in.a));
    MOE_TRY(sim_source(d, &operand[2], 32, &in.b));
    MOE_TRY(sim_source(d, &operand[3], 32, &in.c));
    MOE_TRY(sim_source(d, &operand[4], 32, &in.f));
    MOE_TRY(sim_destination(d, &operand[0], 32, &in.d));
    if (operand[0].pair) MOE_TRY(sim_predicate_destination(d, operand[0].pair, &in.e));
    return sim_emit(d, SIM_OP_shfl, in);
}

static moe_status decode_vote(sim_decoder *d) {
    static const char *const modes[] = {"all", "any", "uni", "ballot", NULL};
    const ptx_operand *operand = d->statement->operand;
    int mode = index_among(d, modes);
    sim_instruction in = {.aux = (uint32_t)mode};

    if (mode < 0 || !sim_has(d, "sync")) return sim_unknown(d);
    MOE_TRY(sim_expect(d, 3));
    MOE_TRY(sim_predicate_source(d, &operand[1], &in.a));
    MOE_TRY(sim_source(d, &operand[2], 32, &in.b));
    if (mode == 3) MOE_TRY(sim_destination(d, &operand[0], 32, &in.d));
    else MOE_TRY(sim_predicate_destination(d, &operand[0], &in.d));
    return sim_emit(d, SIM_OP_vote, in);
}

static moe_status decode_match(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    unsigned bits = sim_type_bits(d->part[d->parts - 1]);
    sim_instruction in = {.aux = bits};

    if (bits != 32 && bits != 64) return sim_unknown(d);
    MOE_TRY(sim_expect(d, 3));
    MOE_TRY(sim_source(d, &operand[1], bits, &in.a));
    MOE_TRY(sim_source(d, &operand[2], 32, &in.b));
    MOE_TRY(sim_destination(d, &operand[0], 32, &in.d));
    if (operand[0].pair) MOE_TRY(sim_predicate_destination(d, operand[0].pair, &in.e));
    return sim_emit(d, sim_has(d, "all") ? SIM_OP_match_all : SIM_OP_match_any, in);
}

/* redux.sync.OP.TYPE d, a, mask. ORDER reduction in exec_warp.c */
static moe_status decode_redux(sim_decoder *d) {
    static const char *const operations[] = {"add",     "min.u32", "max.u32", "min.s32",
                                             "max.s32", "and",     "or",      "xor",
                                             "min.f32", "max.f32", NULL};
    const ptx_operand *operand = d->statement->operand;
    const char *type = d->part[d->parts - 1];
    sim_instruction in = {.aux = 99};
    char name[32];

    for (uint32_t i = 0; operations[i]; i++) {
        for (int p = 1; p < d->parts; p++) {
            strcpy(name, d->part[p]);
            if (strchr(operations[i], '.')) {
                if (strlen(name) + strlen(type) + 2 > sizeof name) continue;
                strcat(name, ".");
                strcat(name, type);
            }
            if (strcmp(name, operations[i]) == 0) in.aux = i;
        }
    }
    if (in.aux == 99 || !sim_has(d, "sync")) return sim_unknown(d);
    if (in.aux >= 8 && sim_has(d, "NaN")) in.aux += 2;
    if (sim_has(d, "abs")) in.aux |= 16;
    MOE_TRY(sim_expect(d, 3));
    MOE_TRY(sim_source(d, &operand[1], 32, &in.a));
    MOE_TRY(sim_source(d, &operand[2], 32, &in.b));
    MOE_TRY(sim_destination(d, &operand[0], 32, &in.d));
    return sim_emit(d, SIM_OP_redux, in);
}

static moe_status decode_activemask(sim_decoder *d) {
    sim_instruction in = {0};

    MOE_TRY(sim_expect(d, 1));
    MOE_TRY(sim_destination(d, &d->statement->operand[0], 32, &in.d));
    return sim_emit(d, SIM_OP_activemask, in);
}

/* elect.sync d|p, mask */
static moe_status decode_elect(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    sim_instruction in = {0};

    MOE_TRY(sim_expect(d, 2));
    MOE_TRY(sim_source(d, &operand[1], 32, &in.b));
    MOE_TRY(sim_destination(d, &operand[0], 32, &in.d));
    if (operand[0].pair) MOE_TRY(sim_predicate_destination(d, operand[0].pair, &in.e));
    return sim_emit(d, SIM_OP_elect, in);
}

/* bar.* is aligned by itself, barrier.* where it says so. */
static uint32_t aligned(const sim_decoder *d) {
    return strcmp(d->part[0], "bar") == 0 || sim_has(d, "aligned");
}

static moe_status decode_warp_sync(sim_decoder *d) {
    sim_instruction in = {0};

    MOE_TRY(sim_expect(d, 1));
    MOE_TRY(sim_source(d, &d->statement->operand[0], 32, &in.a));
    return sim_emit(d, SIM_OP_warp_sync, in);
}

/* bar.red.OP.TYPE d, a[, b], p */
static moe_status decode_bar_red(sim_decoder *d) {
    static const char *const operations[] = {"popc", "and", "or", NULL};
    const ptx_operand *operand = d->statement->operand;
    uint32_t count = d->statement->operands;
    int operation = index_among(d, operations);
    sim_instruction in = {.aux = aligned(d) | (uint32_t)operation << 1};

    if (operation < 0 || count < 3 || count > 4) return sim_unknown(d);
    MOE_TRY(sim_source(d, &operand[1], 32, &in.a));
    if (count == 4) MOE_TRY(sim_source(d, &operand[2], 32, &in.b));
    MOE_TRY(sim_predicate_source(d, &operand[count - 1], &in.c));
    if (operation == 0) MOE_TRY(sim_destination(d, &operand[0], 32, &in.d));
    else MOE_TRY(sim_predicate_destination(d, &operand[0], &in.d));
    return sim_emit(d, SIM_OP_bar_red, in);
}

static moe_status decode_bar(sim_decoder *d) {
    const ptx_operand *operand = d->statement->operand;
    uint32_t count = d->statement->operands;
    bool arrives = sim_has(d, "arrive");
    sim_instruction in = {.aux = aligned(d)};

    if (sim_has(d, "cluster"))
        return sim_emit(d, arrives ? SIM_OP_cluster_arrive : SIM_OP_cluster_wait, in);
    if (sim_has(d, "warp")) return decode_warp_sync(d);
    if (sim_has(d, "red")) return decode_bar_red(d);
    if (count < 1 || count > 2 || (arrives && count < 2) || !(arrives || sim_has(d, "sync")))
        return sim_unknown(d);
    MOE_TRY(sim_source(d, &operand[0], 32, &in.a));
    if (count == 2) MOE_TRY(sim_source(d, &operand[1], 32, &in.b));
    return sim_emit(d, arrives ? SIM_OP_bar_arrive : SIM_OP_bar_sync, in);
}

static moe_status decode_nanosleep(sim_decoder *d) {
    return sim_emit(d, SIM_OP_nanosleep, (sim_instruction){0});
}

static moe_status decode_dependency(sim_decoder *d) {
    sim_op op = sim_has(d, "wait") ? SIM_OP_dependency_wait : SIM_OP_dependents_launch;

    return sim_emit(d, op, (sim_instruction){0});
}

/* pmevent counts nothing here. */
static moe_status decode_nothing(sim_decoder *d) {
    return sim_emit(d, SIM_OP_nop, (sim_instruction){0});
}

moe_status sim_decode_warp(sim_decoder *d, bool *known) {
    static const sim_mnemonic table[] = {
        {"shfl", decode_shfl},
        {"vote", decode_vote},
        {"match", decode_match},
        {"redux", decode_redux},
        {"activemask", decode_activemask},
        {"elect", decode_elect},
        {"bar", decode_bar},
        {"barrier", decode_bar},
        {"nanosleep", decode_nanosleep},
        {"griddepcontrol", decode_dependency},
        {"pmevent", decode_nothing},
        {NULL, NULL},
    };

    return sim_decode_by_name(d, table, known);
}
