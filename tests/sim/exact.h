/* exact.h - number formats and correct rounding, worked out in 113-bit arithmetic.
 *
 * What PTX instructions must give, written independently of the simulator: operands become exact
 * quad-precision values, sums that do not fit are rounded to odd (so that a second rounding is
 * still correct), and exact_round rounds once into the format. */
#ifndef EXACT_H
#define EXACT_H

#include <stdbool.h>
#include <stdint.h>

typedef _Float128 exact;

/* E4M3, E5M2 and E2M1 are not here: no portable kernel uses them. */
typedef enum exact_format { F16, BF16, TF32, F32, F64 } exact_format;

typedef enum exact_mode { RN, RZ, RM, RP, RNA } exact_mode; /* PTX's names; RNA: ties away */

/* The value of a pattern; NaN and infinity stay what they are. */
exact exact_of(exact_format format, uint64_t bits);

/* Rounds to a pattern. Overflow gives what IEEE 754 says for the mode. */
uint64_t exact_round(exact_format format, exact value, exact_mode mode);

/* a + b and a * b + c, exact or rounded to odd. */
exact exact_add(exact a, exact b);
exact exact_fma(exact a, exact b, exact c);

/* Any NaN of the format; the canonical NaN; sign-preserving flush of subnormal patterns. */
bool exact_nan(exact_format format, uint64_t bits);
uint64_t exact_quiet(exact_format format);
uint64_t exact_flush(exact_format format, uint64_t bits);

/* PTX min and max: a NaN loses against a number, -0 < +0. */
uint64_t exact_min(exact_format format, uint64_t a, uint64_t b);
uint64_t exact_max(exact_format format, uint64_t a, uint64_t b);

/* Rounds to an integer as .rni .rzi .rmi .rpi do. */
exact exact_integer(exact value, exact_mode mode);

/* Float to integer of `bits` bits: saturates; NaN gives 0. */
uint64_t exact_to_signed(exact value, exact_mode mode, int bits);
uint64_t exact_to_unsigned(exact value, exact_mode mode, int bits);

#endif
