// faulty_sums.cu - see faulty_sums.lua.
using XT = float;
using WT = float;
$(moe.args())

__device__ int expert_of(const args_down_combine &a, int row) {
    int e = 0;
    while (row >= a.expert_start[e] + a.expert_rows[e]) e++;
    return e;
}

extern "C" __global__ void $(moe.symbol())(const args_down_combine a)
{
    const int late = FAULT == 5 && a.flags[0] == 0 && a.scratch[0] == 7;
    a.scratch[0] = 7;
    a.flags[0] = 1;
    for (int t = 0; t < a.tokens; t++) {
        for (int i = 0; i < D && FAULT != 1; i++) a.y[t * D + i] = late;
        for (int j = 0; j < K; j++) {
            const int s = t * K + j, row = FAULT == 2 ? max(a.slot_rows[s], 0) : a.slot_rows[s];
            if (row < 0) continue;
            for (int i = 0; i < D; i++) {
                float sum = 0;
                for (int n = 0; n < F; n++)
                    sum += a.h[(size_t)row * F + n] *
                           a.down[((size_t)expert_of(a, row) * D + i) * F + n];
                a.y[t * D + i] += (FAULT == 3 ? 1 : a.weights[s]) * sum;
            }
        }
    }
}
