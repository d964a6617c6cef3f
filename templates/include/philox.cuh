// philox.cuh - random numbers by counter: Philox4x32-10 (Salmon and others 2011). What is drawn
// depends on the seed and on what it is for, not on which thread draws it, nor on the config.

enum draw_stream { DRAW_SECOND, DRAW_NOISE, DRAW_JITTER }; // ORDER moe_draw of reference/draw.h

struct drawn {
    unsigned word[4];
};

__device__ __forceinline__ drawn draw(unsigned long long seed, int token, int i,
                                      draw_stream stream) {
    unsigned x[4] = {(unsigned)token, (unsigned)i, (unsigned)stream, 0};
    unsigned key[2] = {(unsigned)seed, (unsigned)(seed >> 32)};
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const unsigned high0 = __umulhi(0xd2511f53u, x[0]), low0 = 0xd2511f53u * x[0];
        const unsigned high1 = __umulhi(0xcd9e8d57u, x[2]), low1 = 0xcd9e8d57u * x[2];
        x[0] = high1 ^ x[1] ^ key[0], x[1] = low1;
        x[2] = high0 ^ x[3] ^ key[1], x[3] = low0;
        key[0] += 0x9e3779b9u, key[1] += 0xbb67ae85u;
    }
    return {{x[0], x[1], x[2], x[3]}};
}

// In 0 .. 1 - 2^-24, exactly.
__device__ __forceinline__ float uniform(unsigned word) {
    return (float)(word >> 8) * 5.9604644775390625e-8f;
}

// Of mean 0 and deviation 1 (Box and Muller); no larger than 5.8.
__device__ __forceinline__ float normal(const drawn &d) {
    const float radius = sqrtf(-2.0f * logf(uniform(d.word[0]) + 5.9604644775390625e-8f));
    return radius * cospif(2.0f * uniform(d.word[1]));
}
