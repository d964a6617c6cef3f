/* label: sim */
/* test_integer.c - integer, logic, shift, bit, compare and select instructions against C. */
#include "opcode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t saturate32(int64_t value) {
    return U32(value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value);
}

static uint64_t dp4a(uint64_t a, uint64_t b, uint64_t c, bool a_signed, bool b_signed) {
    for (int i = 0; i < 32; i += 8) {
        int x = a_signed ? (int8_t)(a >> i) : (uint8_t)(a >> i);
        int y = b_signed ? (int8_t)(b >> i) : (uint8_t)(b >> i);
        c += (uint64_t)(int64_t)(x * y);
    }
    return U32(c);
}

static uint64_t funnel_left(uint64_t low, uint64_t high, uint64_t n) {
    return n == 32 ? low : U32((high << 32 | low) >> (32 - n));
}

static uint64_t extract(uint64_t a, uint64_t start, uint64_t length, unsigned bits,
                        bool is_signed) {
    uint64_t pos = start & 0xff, len = length & 0xff, d = 0;
    uint64_t last = pos + len - 1 < bits - 1 ? pos + len - 1 : bits - 1;
    uint64_t sign = is_signed && len ? a >> last & 1 : 0;

    for (uint64_t i = 0; i < bits; i++)
        d |= (i < len && pos + i < bits ? a >> (pos + i) & 1 : sign) << i;
    return d;
}

static uint64_t insert(uint64_t a, uint64_t b, uint64_t start, uint64_t length, unsigned bits) {
    uint64_t pos = start & 0xff, len = length & 0xff;

    for (uint64_t i = 0; i < len && pos + i < bits; i++)
        b = (b & ~(1ull << (pos + i))) | (a >> i & 1) << (pos + i);
    return b;
}

static uint64_t reverse(uint64_t a) {
    uint64_t d = 0;

    for (int i = 0; i < 64; i++) d |= (a >> i & 1) << (63 - i);
    return d;
}

static uint64_t highest(uint64_t a) {
    return a ? 63 - (uint64_t)__builtin_clzll(a) : 0xffffffff;
}

static uint64_t permute(uint64_t a, uint64_t b, uint64_t selector) {
    uint64_t bytes = b << 32 | a, d = 0;

    for (int i = 0; i < 4; i++) {
        uint64_t pick = selector >> 4 * i & 15;
        uint64_t byte = bytes >> 8 * (pick & 7) & 0xff;
        if (pick & 8) byte = byte & 0x80 ? 0xff : 0;
        d |= byte << 8 * i;
    }
    return d;
}

__extension__ typedef unsigned __int128 wide;
__extension__ typedef __int128 signed_wide;
#define WIDE(high, low) ((wide)(high) << 64 | (low))

#define S24(x) ((int64_t)((x) << 40) >> 40)

static uint64_t within(uint64_t a, int32_t least, int32_t most) {
    return (uint64_t)(S32(a) < least ? least : S32(a) > most ? most : S32(a));
}

#define OPCODE OPCODE_FUNCTION
#include "integer.def"
#undef OPCODE

static const opcode_case cases[] = {
#define OPCODE OPCODE_ROW
#include "integer.def"
#undef OPCODE
};

static void integer_instructions(void **state) {
    (void)state;
    opcode_check("h100", cases, sizeof cases / sizeof *cases);
    opcode_check("h100,portable=1", cases, sizeof cases / sizeof *cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(integer_instructions)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
