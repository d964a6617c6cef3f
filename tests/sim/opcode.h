/* opcode.h - one PTX instruction at a time against C.
 *
 * A case is a line of PTX from registers %a %b %c to %d (with %p and %q as predicates and %x %y as
 * 32-bit spares), and a C function that says what %d must be. Operands run over all pairs of the
 * edge values of their types, and over random patterns; all are carried in 64-bit words. */
#ifndef OPCODE_H
#define OPCODE_H

#include "exact.h"
#include "rig.h"

/* The letters of a case's types, such as "ff:f" for two f32 operands and an f32 result:
 *   h i l   16, 32, 64-bit integers      s   shift amounts, 32 bits
 *   e b     f16, bf16                    E B   pairs of them
 *   f d     f32, f64                     u   f32 between -4 and 4
 * One operand (%a), two or three may be named. A result of a float type may be any NaN. */
typedef struct opcode_case {
    const char *types;
    const char *ptx;
    double tolerance; /* relative error of a float result; 0: exact */
    uint64_t (*expect)(uint64_t a, uint64_t b, uint64_t c);
} opcode_case;

enum { OPCODE_LANES = 4096 };

/* Runs all cases on the chip; prints those that fail, then fails the test if there are any. */
void opcode_check(const char *chip, const opcode_case *cases, int count);

/* Declares expect_<name> from an expression in a, b and c. Used with the .def files. */
#define OPCODE_FUNCTION(name, types, ptx, tolerance, ...)                                          \
    static uint64_t expect_##name(uint64_t a, uint64_t b, uint64_t c)                              \
    {                                                                                              \
        (void)a, (void)b, (void)c;                                                                 \
        return (uint64_t)(__VA_ARGS__);                                                            \
    }
#define OPCODE_ROW(name, types, ptx, tolerance, ...) {types, ptx, tolerance, expect_##name},

/* Readings of a word. */
#define S16(x) ((int16_t)(x))
#define U16(x) ((uint16_t)(x))
#define S32(x) ((int32_t)(x))
#define U32(x) ((uint32_t)(x))
#define S64(x) ((int64_t)(x))
float f32_of(uint64_t bits);
double f64_of(uint64_t bits);
uint64_t bits_of_f32(float value);
uint64_t bits_of_f64(double value);

#endif
