/* random.c - numbers by counter.
 *
 * Bits come from SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), whose state is a counter. A
 * normal number is the inverse of the normal distribution function at a uniform one, read from a
 * table of 2^16 cells with linear interpolation: one look-up instead of a logarithm and a sine.
 * Products are exact in double, so every compiler and CPU makes the same bits. */
#include "random.h"

#include "core/number.h"

#include <math.h>
#include <pthread.h>

enum { CELLS = 1 << 16, BLOCK = 1024 };

static const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

moe_random moe_random_stream(uint64_t seed, uint64_t stream) {
    return (moe_random){mix(mix(seed + golden) ^ (stream + 1) * golden)};
}

uint64_t moe_random_bits(moe_random random, uint64_t i) {
    return mix(random.key + (i + 1) * golden);
}

double moe_random_uniform(moe_random random, uint64_t i) {
    return ((double)(moe_random_bits(random, i) >> 12) + 0.5) * 0x1p-52;
}

/* Quantiles at i / CELLS; the ends, which are infinite, stand half a cell inside. */
static float quantile[CELLS + 1];

/* x with Phi(x) = p: Newton's method from a point between 0 and the root, where it is monotone. */
static double normal_quantile(double p) {
    const double sqrt_2 = 1.41421356237309504880, density_0 = 0.39894228040143267794;
    double x = 0;
    for (int step = 0; step < 60; step++) {
        double error = 0.5 * erfc(-x / sqrt_2) - p;
        double move = error / (density_0 * exp(-0.5 * x * x));
        x -= move;
        if (fabs(move) < 1e-14) break;
    }
    return x;
}

static void fill_quantiles(void) {
    for (int i = 0; i <= CELLS / 2; i++) {
        quantile[i] = (float)normal_quantile(i ? (double)i / CELLS : 0.5 / CELLS);
        quantile[CELLS - i] = -quantile[i];
    }
}

static float normal(uint32_t bits, double deviation) {
    uint32_t cell = bits >> 16;
    double low = (double)quantile[cell], width = (double)quantile[cell + 1] - low;
    return (float)((low + width * ((double)(bits & 0xffffu) * 0x1p-16)) * deviation);
}

void moe_random_normal(moe_random random, moe_dtype dtype, void *array, int64_t n,
                       double deviation) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_quantiles);
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < n; first += BLOCK) {
        float values[BLOCK];
        int64_t count = n - first < BLOCK ? n - first : BLOCK;
        for (int64_t i = 0; i < BLOCK; i += 2) {
            uint64_t bits = moe_random_bits(random, (uint64_t)(first + i) / 2);
            values[i] = normal((uint32_t)bits, deviation);
            values[i + 1] = normal((uint32_t)(bits >> 32), deviation);
        }
        moe_store_block(dtype, array, first, count, values);
    }
}
