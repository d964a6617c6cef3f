/* exec_simd.h - the host's vector instructions by name, for the few handlers that no loop serves
 * well: compiling their declarations takes longer than compiling most handlers. */
#ifndef SIM_EXEC_SIMD_H
#define SIM_EXEC_SIMD_H

#include "exec/exec.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

/* One bit for each lane from 32 words that are 0 or ~0. */
static inline u32 lane_mask(const s32 *words) {
#if defined(__AVX2__)
    u32 mask = 0;
    for (int i = 0; i < 4; i++) {
        __m256i v = _mm256_load_si256((const __m256i *)(const void *)(words + 8 * i));
        mask |= (u32)_mm256_movemask_ps(_mm256_castsi256_ps(v)) << (8 * i);
    }
    return mask;
#elif defined(__SSE2__)
    u32 mask = 0;
    for (int i = 0; i < 8; i++) {
        __m128i v = _mm_load_si128((const __m128i *)(const void *)(words + 4 * i));
        mask |= (u32)_mm_movemask_ps(_mm_castsi128_ps(v)) << (4 * i);
    }
    return mask;
#else
    u32 mask = 0;
    for (int i = 0; i < SIM_LANES; i++) mask |= (u32)(words[i] & 1) << i;
    return mask;
#endif
}

#endif
