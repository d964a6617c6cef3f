/* exec_alu.c - a handler for each line of alu.def: loops over 32 lanes that the compiler
 * vectorises. Inactive lanes keep what they had. */
#include "exec/exec_simd.h"

#define LOOP(value)                                                                                \
    if (likely(exec == ~0u)) {                                                                     \
        _Pragma("GCC ivdep")                                                                       \
        for (int i = 0; i < SIM_LANES; i++) {                                                      \
            value;                                                                                 \
        }                                                                                          \
    } else {                                                                                       \
        _Pragma("GCC ivdep")                                                                       \
        for (int i = 0; i < SIM_LANES; i++) {                                                      \
            if (exec >> i & 1) {                                                                   \
                value;                                                                             \
            }                                                                                      \
        }                                                                                          \
    }

#define BODY1(D, A, expression)                                                                    \
    D *d = LANES_OF(D, warp, in->d);                                                               \
    const A *xs = LANES_OF(const A, warp, in->a);                                                  \
    LOOP(const A x = xs[i]; d[i] = (D)(expression))

#define BODY2(D, A, B, expression)                                                                 \
    D *d = LANES_OF(D, warp, in->d);                                                               \
    const A *xs = LANES_OF(const A, warp, in->a);                                                  \
    const B *ys = LANES_OF(const B, warp, in->b);                                                  \
    LOOP(const A x = xs[i]; const B y = ys[i]; d[i] = (D)(expression))

#define BODY3(D, A, B, C, expression)                                                              \
    D *d = LANES_OF(D, warp, in->d);                                                               \
    const A *xs = LANES_OF(const A, warp, in->a);                                                  \
    const B *ys = LANES_OF(const B, warp, in->b);                                                  \
    const C *zs = LANES_OF(const C, warp, in->c);                                                  \
    LOOP(const A x = xs[i]; const B y = ys[i]; const C z = zs[i]; d[i] = (D)(expression))

#define ALU1(id, D, A, class, spell, expression)                                                   \
    HANDLER(id) {                                                                                  \
        BODY1(D, A, expression)                                                                    \
        return SIM_STEP;                                                                           \
    }

#define ALU2(id, D, A, B, class, spell, expression)                                                \
    HANDLER(id) {                                                                                  \
        BODY2(D, A, B, expression)                                                                 \
        return SIM_STEP;                                                                           \
    }

#define ALU3(id, D, A, B, C, class, spell, expression)                                             \
    HANDLER(id) {                                                                                  \
        BODY3(D, A, B, C, expression)                                                              \
        return SIM_STEP;                                                                           \
    }

#define ROUNDED1(id, mode, D, A, class, spell, expression)                                         \
    HANDLER(id) {                                                                                  \
        round_set(mode);                                                                           \
        BODY1(D, A, expression)                                                                    \
        round_reset();                                                                             \
        return SIM_STEP;                                                                           \
    }

#define ROUNDED2(id, mode, D, A, B, class, spell, expression)                                      \
    HANDLER(id) {                                                                                  \
        round_set(mode);                                                                           \
        BODY2(D, A, B, expression)                                                                 \
        round_reset();                                                                             \
        return SIM_STEP;                                                                           \
    }

#define ROUNDED3(id, mode, D, A, B, C, class, spell, expression)                                   \
    HANDLER(id) {                                                                                  \
        round_set(mode);                                                                           \
        BODY3(D, A, B, C, expression)                                                              \
        round_reset();                                                                             \
        return SIM_STEP;                                                                           \
    }

/* setp.CMP[.BOOL] d[|e], a, b[, c]: aux says how c joins: 0 not at all, 1 and, 2 or, 3 xor. */
static void compare_store(sim_warp *warp, const sim_instruction *in, u32 exec, u32 result) {
    u32 c = in->aux ? predicate_value(warp, in->c) : 0;
    u32 first = result, second = ~result;

    if (in->aux == 1) first = result & c, second = ~result & c;
    if (in->aux == 2) first = result | c, second = ~result | c;
    if (in->aux == 3) first = result ^ c, second = ~result ^ c;
    if (in->d) predicate_set(warp, in->d, exec, first);
    if (in->e) predicate_set(warp, in->e, exec, second);
}

#define COMPARE(id, A, class, spell, expression)                                                   \
    HANDLER(id) {                                                                                  \
        const A *xs = LANES_OF(const A, warp, in->a);                                              \
        const A *ys = LANES_OF(const A, warp, in->b);                                              \
        _Alignas(64) s32 words[SIM_LANES];                                                         \
        for (int i = 0; i < SIM_LANES; i++) {                                                      \
            const A x = xs[i], y = ys[i];                                                          \
            words[i] = (expression) ? -1 : 0;                                                      \
        }                                                                                          \
        compare_store(warp, in, exec, lane_mask(words));                                           \
        return SIM_STEP;                                                                           \
    }

#include "decode/alu.def"
