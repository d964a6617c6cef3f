/* opcode.c - builds a kernel around one instruction, runs it over edge values and compares. */
#include "opcode.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

float f32_of(uint64_t bits) {
    uint32_t word = (uint32_t)bits;
    float value;

    memcpy(&value, &word, sizeof value);
    return value;
}

double f64_of(uint64_t bits) {
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t bits_of_f32(float value) {
    uint32_t word;

    memcpy(&word, &value, sizeof word);
    return word;
}

uint64_t bits_of_f64(double value) {
    uint64_t word;

    memcpy(&word, &value, sizeof word);
    return word;
}

/* ------------------------------------------------------------------------------------- values */

static const uint64_t integer_edges[] = {
    0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 100, 127, 128, 255, 256, 0x7fff, 0x8000, 0x8001, 0xfffe,
    0xffff, 0x10000, 0x01234567, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe,
    0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffff80000000,
    0xfffffffffffffffe, 0xffffffffffffffff, 0x123456789abcdef0, 0xff00ff00ff00ff00,
};
static const uint64_t shift_edges[] = {0, 1, 7, 8, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 255,
                                       256, 0x80000000, 0xffffffff};
static const uint64_t f16_edges[] = {
    0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x8400, 0x3800, 0x3c00, 0xbc00, 0x3c01, 0x3e00,
    0x4100, 0x4500, 0x6800, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0x1234, 0xa987,
};
static const uint64_t bf16_edges[] = {
    0x0000, 0x8000, 0x0001, 0x8001, 0x007f, 0x0080, 0x8080, 0x3f00, 0x3f80, 0xbf80, 0x3f81, 0x3fc0,
    0x4020, 0x4f00, 0xcf00, 0x7f7f, 0xff7f, 0x7f80, 0xff80, 0x7fc0, 0x3456, 0xc123,
};
static const uint64_t f32_edges[] = {
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800000,
    0x00800001, 0x3f000000, 0xbf000000, 0x3f7fffff, 0x3f800000, 0xbf800000, 0x3f800001, 0x3fc00000,
    0xbfc00000, 0x40200000, 0xc0200000, 0x4b000000, 0x4b000001, 0x4effffff, 0x4f000000, 0xcf000000,
    0xcf000001, 0x4f800000, 0x5f000000, 0xdf000000, 0x5f800000, 0x7f7fffff, 0xff7fffff, 0x7f800000,
    0xff800000, 0x7fc00000, 0x477fe000, 0x477ff000, 0x33000000, 0x33000001, 0x38801000, 0x7f7f8000,
};
static const uint64_t f64_edges[] = {
    0x0000000000000000, 0x8000000000000000, 0x0000000000000001, 0x000fffffffffffff,
    0x0010000000000000, 0x3fe0000000000000, 0xbfe0000000000000, 0x3ff0000000000000,
    0xbff8000000000000, 0x3ff0000000000001, 0x4004000000000000, 0x41dfffffffc00000,
    0x41e0000000000000, 0xc1e0000000000000, 0x41f0000000000000, 0x43e0000000000000,
    0xc3e0000000000000, 0x43f0000000000000, 0x47efffffe0000000, 0x47effffff0000000,
    0x3690000000000000, 0x3690000000000001, 0x7fefffffffffffff, 0x7ff0000000000000,
    0xfff0000000000000, 0x7ff8000000000000, 0x36a0000000000000, 0x380fffffffffffff,
};

/* What a type letter stands for. */
typedef struct operand_type {
    char letter;
    int bits;
    const uint64_t *edges;
    size_t count;
    exact_format format; /* of float types */
    int parts;           /* float values in a word; 0: integer */
} operand_type;

#define EDGES(table) table, sizeof table / sizeof *table
static const operand_type operand_types[] = {
    {'h', 16, EDGES(integer_edges), F32, 0}, {'i', 32, EDGES(integer_edges), F32, 0},
    {'l', 64, EDGES(integer_edges), F32, 0}, {'s', 32, EDGES(shift_edges), F32, 0},
    {'e', 16, EDGES(f16_edges), F16, 1},     {'b', 16, EDGES(bf16_edges), BF16, 1},
    {'E', 32, EDGES(f16_edges), F16, 2},     {'B', 32, EDGES(bf16_edges), BF16, 2},
    {'f', 32, EDGES(f32_edges), F32, 1},     {'d', 64, EDGES(f64_edges), F64, 1},
    {'u', 32, EDGES(f32_edges), F32, 1},
};

static const operand_type *type_of(char letter) {
    for (size_t i = 0; i < sizeof operand_types / sizeof *operand_types; i++)
        if (operand_types[i].letter == letter) return &operand_types[i];
    fail_msg("no operand type '%c'", letter);
    return NULL;
}

static uint64_t random_word(void) {
    static uint64_t state = 0x9e3779b97f4a7c15;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

static uint64_t edge(const operand_type *type, uint64_t index) {
    uint64_t word = type->edges[index % type->count];

    if (type->parts == 2) word |= type->edges[(index / 5 + index) % type->count] << 16;
    return word;
}

/* The value of one lane's operand number `which`: all pairs of edges first, then random ones. */
static uint64_t operand(char letter, int which, uint64_t lane) {
    const operand_type *type = type_of(letter);
    uint64_t mask = type->bits == 64 ? ~0ull : (1ull << type->bits) - 1;
    uint64_t index = which == 0 ? lane : which == 1 ? lane / type->count : random_word() >> 8;

    if (letter == 'u') return bits_of_f32((float)(random_word() >> 40) / 2097152.0f - 4.0f);
    if (lane < OPCODE_LANES / 2) return edge(type, index) & mask;
    if (letter == 's') return random_word() % 70;
    return (lane & 1 ? random_word() : edge(type, random_word() >> 8)) & mask;
}

/* ------------------------------------------------------------------------------------- kernel */

static int operand_count(const opcode_case *c) {
    return (int)(strchr(c->types, ':') - c->types);
}

static char result_letter(const opcode_case *c) {
    return strchr(c->types, ':')[1];
}

static void add_register(char *text, size_t size, char name, char letter, const char *direction) {
    int bits = type_of(letter)->bits;
    size_t used = strlen(text);

    if (strcmp(direction, "declare") == 0)
        snprintf(text + used, size - used, "    .reg .b%d %%%c;\n", bits, name);
    else if (strcmp(direction, "load") == 0)
        snprintf(text + used, size - used,
                 "    ld.param.u64 %%at, [p%c];\n    add.s64 %%at, %%at, %%offset;\n"
                 "    ld.global.b%d %%%c, [%%at];\n",
                 name, bits, name);
    else
        snprintf(text + used, size - used,
                 "    ld.param.u64 %%at, [p%c];\n    add.s64 %%at, %%at, %%offset;\n"
                 "    st.global.b%d [%%at], %%%c;\n",
                 name, bits, name);
}

static void build_kernel(const opcode_case *c, const char *target, char *text, size_t size) {
    static const char names[] = "abc";
    int count = operand_count(c);

    snprintf(text, size,
             ".version 9.0\n.target %s\n.address_size 64\n"
             ".visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u64 pd)\n"
             "{\n    .reg .b64 %%at, %%offset;\n    .reg .b32 %%x, %%y, %%z;\n"
             "    .reg .pred %%p, %%q;\n",
             target);
    for (int i = 0; i < count; i++) add_register(text, size, names[i], c->types[i], "declare");
    add_register(text, size, 'd', result_letter(c), "declare");
    strncat(text, "    mov.u32 %x, %ctaid.x;\n    mov.u32 %y, %ntid.x;\n    mov.u32 %z, %tid.x;\n"
                  "    mad.lo.s32 %x, %x, %y, %z;\n    mul.wide.u32 %offset, %x, 8;\n",
            size - strlen(text) - 1);
    for (int i = 0; i < count; i++) add_register(text, size, names[i], c->types[i], "load");
    strncat(text, "    ", size - strlen(text) - 1);
    strncat(text, c->ptx, size - strlen(text) - 1);
    strncat(text, "\n", size - strlen(text) - 1);
    add_register(text, size, 'd', result_letter(c), "store");
    strncat(text, "    ret;\n}\n", size - strlen(text) - 1);
}

/* -------------------------------------------------------------------------------- comparison */

static bool part_agrees(const operand_type *type, double tolerance, uint64_t got, uint64_t want) {
    double g, w;

    if (got == want) return true;
    if (exact_nan(type->format, want)) return exact_nan(type->format, got);
    if (tolerance == 0 || exact_nan(type->format, got)) return false;
    g = (double)exact_of(type->format, got);
    w = (double)exact_of(type->format, want);
    /* Below the smallest normal number of f32, approximations may flush. */
    return fabs(g - w) <= tolerance * fabs(w) || fabs(g - w) < 1.2e-38;
}

static bool agrees(const opcode_case *c, uint64_t got, uint64_t want) {
    const operand_type *type = type_of(result_letter(c));
    int bits = type->parts ? type->bits / type->parts : type->bits;
    uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;

    if (type->parts == 0) return (got & mask) == (want & mask);
    for (int part = 0; part < type->parts; part++)
        if (!part_agrees(type, c->tolerance, got >> part * bits & mask, want >> part * bits & mask))
            return false;
    return true;
}

typedef struct lanes {
    uint64_t in[3][OPCODE_LANES], out[OPCODE_LANES];
} lanes;

static bool compare(const opcode_case *c, const lanes *l) {
    int wrong = 0;

    for (int i = 0; i < OPCODE_LANES; i++) {
        uint64_t want = c->expect(l->in[0][i], l->in[1][i], l->in[2][i]);
        if (agrees(c, l->out[i], want)) continue;
        if (wrong++ < 3)
            print_error("%s\n    a=%llx b=%llx c=%llx: %llx, not %llx\n", c->ptx,
                        (unsigned long long)l->in[0][i], (unsigned long long)l->in[1][i],
                        (unsigned long long)l->in[2][i], (unsigned long long)l->out[i],
                        (unsigned long long)want);
    }
    return wrong == 0;
}

static bool case_passes(sim_rig *rig, const char *target, const opcode_case *c, lanes *l) {
    char text[4096];
    moe_ptr args[4];
    moe_status status;

    memset(l, 0, sizeof *l);
    for (int which = 0; which < operand_count(c); which++)
        for (uint64_t i = 0; i < OPCODE_LANES; i++)
            l->in[which][i] = operand(c->types[which], which, i);
    for (int which = 0; which < 3; which++)
        args[which] = rig_buffer(rig, l->in[which], sizeof l->in[which]);
    args[3] = rig_buffer(rig, l->out, sizeof l->out);
    build_kernel(c, target, text, sizeof text);
    status = rig_try_load(rig, text, "k");
    if (status == MOE_OK) status = rig_try(rig, OPCODE_LANES / 128, 128, 0, args, sizeof args);
    if (status == MOE_OK) rig_read(rig, l->out, args[3], sizeof l->out);
    else print_error("%s\n    %s\n", c->ptx, moe_error_text());
    for (int which = 0; which < 4; which++) moe_device_sim.free(rig->self, args[which]);
    return status == MOE_OK && compare(c, l);
}

void opcode_check(const char *chip, const opcode_case *cases, int count) {
    lanes *l = malloc(sizeof *l);
    int failed = 0;
    sim_rig rig;

    if (!l) fail_msg("out of memory");
    rig_open(&rig, chip);
    for (int i = 0; i < count; i++)
        failed += !case_passes(&rig, moe_device_sim.facts(rig.self)->arch, &cases[i], l);
    rig_close(&rig);
    free(l);
    if (failed) fail_msg("%d of %d instructions are wrong", failed, count);
}
