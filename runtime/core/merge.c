/* merge.c - the weighted average of experts' weights, block by block. */
#include "core/number.h"
#include "core/status.h"

#include <math.h>

enum { BLOCK = 1024 };

static moe_status check(moe_dtype dtype, const void *const *expert, const double *mix, int64_t n,
                        int64_t count, const void *out, double *whole) {
    *whole = 0;
    if ((unsigned)dtype >= MOE_FLOATS || n < 1 || count < 0 || !expert || !mix || !out)
        return moe_fail(MOE_E_INVALID, "merge: a dtype, an expert or more, as many weights and "
                                       "room for the result are needed");
    for (int64_t j = 0; j < n; j++) {
        if (!expert[j]) return moe_fail(MOE_E_INVALID, "merge: expert %lld is NULL", (long long)j);
        if (!isfinite(mix[j]) || mix[j] < 0)
            return moe_fail(MOE_E_INVALID, "merge: weight %lld of the mix is %g; weights are 0 or "
                                           "more",
                            (long long)j, mix[j]);
        *whole += mix[j];
    }
    if (*whole > 0 && isfinite(*whole)) return MOE_OK;
    return moe_fail(MOE_E_INVALID, "merge: the weights of the mix add up to %g; give one above 0",
                    *whole);
}

/* One block's average. Experts of weight 0 are not read, so that they may be anything. */
static void merge_block(moe_dtype dtype, const void *const *expert, const double *mix, double whole,
                        int64_t n, int64_t first, int64_t count, void *out) {
    double sums[BLOCK] = {0};
    float values[BLOCK];
    for (int64_t j = 0; j < n; j++) {
        if (mix[j] == 0) continue;
        moe_load_block(dtype, expert[j], first, count, values);
        for (int64_t i = 0; i < count; i++) sums[i] += mix[j] / whole * (double)values[i];
    }
    for (int64_t i = 0; i < count; i++) moe_store(dtype, out, first + i, sums[i]);
}

moe_status moe_merge_experts(moe_dtype dtype, const void *const *expert, const double *mix,
                             int64_t n, int64_t count, void *out) {
    double whole;
    MOE_TRY(check(dtype, expert, mix, n, count, out, &whole));
    for (int64_t first = 0; first < count; first += BLOCK)
        merge_block(dtype, expert, mix, whole, n, first,
                    count - first < BLOCK ? count - first : BLOCK, out);
    return MOE_OK;
}
