/* exec_convert.h - the encoding of general conversions, for decode_convert.c and exec_cvt.c. */
#ifndef SIM_EXEC_CONVERT_H
#define SIM_EXEC_CONVERT_H

#define CONVERT_TYPES                                                                              \
    CONVERT_TYPE(u8)                                                                               \
    CONVERT_TYPE(s8)                                                                               \
    CONVERT_TYPE(u16) CONVERT_TYPE(s16) CONVERT_TYPE(u32) CONVERT_TYPE(s32) CONVERT_TYPE(u64)      \
        CONVERT_TYPE(s64) CONVERT_TYPE(f16) CONVERT_TYPE(bf16) CONVERT_TYPE(f32) CONVERT_TYPE(f64)

typedef enum convert_type {
#define CONVERT_TYPE(name) CONVERT_##name,
    CONVERT_TYPES
#undef CONVERT_TYPE
        CONVERT_TYPE_COUNT
} convert_type;

enum { CONVERT_FIRST_FLOAT = CONVERT_f16 };
enum { CONVERT_EVEN, CONVERT_ZERO, CONVERT_DOWN, CONVERT_UP };

/* aux: source type in bits 0-3, then */
enum {
    CONVERT_TYPE_MASK = 15,
    CONVERT_TO_SHIFT = 4,
    CONVERT_ROUND_SHIFT = 8,          /* 2 bits */
    CONVERT_FROM_REGISTER_SHIFT = 10, /* log2 bytes - 1 */
    CONVERT_TO_REGISTER_SHIFT = 12,
    CONVERT_SAT = 1 << 14,
    CONVERT_FTZ = 1 << 15,
    CONVERT_WHOLE = 1 << 16, /* to a whole number in the same type */
};

#endif
