/* label: unit */
/* test_exact.c - the tests' own arithmetic against the host's floating-point unit. */
#include "exact_ops.h"
#include "opcode.h"

#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { ROUNDS = 200000 };

static uint64_t random_bits(void) {
    static uint64_t state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Exponents near each other, so that sums do round. */
static uint64_t random_f32(void) {
    uint64_t bits = random_bits();

    return bits & 1 ? bits >> 32 : (bits >> 32 & 0x87ffffff) | 0x38000000;
}

static void same(exact_format format, uint64_t got, uint64_t want, uint64_t a, uint64_t b) {
    if (got == want || (exact_nan(format, got) && exact_nan(format, want))) return;
    fail_msg("%llx, not %llx, from %llx %llx", (unsigned long long)got, (unsigned long long)want,
             (unsigned long long)a, (unsigned long long)b);
}

static void f32_arithmetic(void **state) {
    static const struct {
        exact_mode mode;
        int host;
    } modes[] = {{RN, FE_TONEAREST}, {RZ, FE_TOWARDZERO}, {RM, FE_DOWNWARD}, {RP, FE_UPWARD}};

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t a = random_f32(), b = random_f32(), c = random_f32();
        exact_mode mode = modes[i % 4].mode;
        volatile float x = f32_of(a), y = f32_of(b), z = f32_of(c), s, p, q, f;
        fesetround(modes[i % 4].host);
        s = x + y;
        p = x * y;
        q = x / y;
        f = fmaf(x, y, z);
        fesetround(FE_TONEAREST);
        same(F32, sum(F32, mode, a, b), bits_of_f32(s), a, b);
        same(F32, product(F32, mode, a, b), bits_of_f32(p), a, b);
        same(F32, quotient(F32, mode, a, b), bits_of_f32(q), a, b);
        same(F32, fused(F32, mode, a, b, c), bits_of_f32(f), a, b);
    }
}

static void f64_arithmetic(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t a = random_bits(), b = (random_bits() & ~(0x7full << 56)) | (a & 0x7full << 56);
        double x = f64_of(a), y = f64_of(b);
        same(F64, sum(F64, RN, a, b), bits_of_f64(x + y), a, b);
        same(F64, product(F64, RN, a, b), bits_of_f64(x * y), a, b);
        same(F64, quotient(F64, RN, a, b), bits_of_f64(x / y), a, b);
        same(F64, fused(F64, RN, a, b, a ^ 1), bits_of_f64(fma(x, y, f64_of(a ^ 1))), a, b);
        same(F32, narrow(F32, F64, a, RN), bits_of_f32((float)x), a, 0);
    }
}

static void every_half(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        same(F16, narrow(F16, F32, narrow(F32, F16, bits, RN), RN), bits, bits, 0);
        same(BF16, narrow(BF16, F32, (uint64_t)bits << 16, RZ), bits, bits, 0);
        if (bits % 0x8000 < 0x7c00) /* (value + next) / 2 rounds to the even one */
            same(F16,
                 exact_round(F16, (exact_of(F16, bits) + exact_of(F16, bits + 1)) / 2, RN) & 1, 0,
                 bits, bits + 1);
    }
}

static void integers(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t a = random_f32();
        float x = f32_of(a);
        if (!(fabsf(x) < 2e9f)) continue;
        same(F32, to_signed(F32, a, RN, 32), U32((int32_t)rintf(x)), a, 0);
        same(F32, to_signed(F32, a, RZ, 32), U32((int32_t)x), a, 0);
        same(F32, to_signed(F32, a, RM, 32), U32((int32_t)floorf(x)), a, 0);
        same(F32, to_signed(F32, a, RP, 32), U32((int32_t)ceilf(x)), a, 0);
        same(F32, integral(F32, a, RN), bits_of_f32(rintf(x)), a, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_arithmetic), cmocka_unit_test(f64_arithmetic),
        cmocka_unit_test(every_half), cmocka_unit_test(integers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
