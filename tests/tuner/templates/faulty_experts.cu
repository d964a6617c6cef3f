// faulty_experts.cu - see faulty_experts.lua.
using XT = float;
using WT = float;
$(moe.args())

// The row of every slot, by choice and then by token; -1 where its expert is full.
__device__ void place(const args_experts &a, int *row_of, int slots) {
    int count[E], rows[E], start[E + 1];
    const int room = FAULT == 1 ? slots : a.capacity;
    for (int e = 0; e < E; e++) count[e] = rows[e] = 0;
    for (int s = 0; s < slots; s++) count[a.ids[s]]++;
    start[0] = 0;
    for (int e = 0; e < E; e++) start[e + 1] = start[e] + min(count[e], room);
    for (int j = 0; j < K; j++)
        for (int t = 0; t < a.tokens; t++) {
            const int s = t * K + j, e = a.ids[s];
            row_of[s] = rows[e] < room ? start[e] + rows[e]++ : -1;
        }
    if (FAULT == 2 && a.slot_rows) {
        row_of[0] = row_of[K];
    }
    for (int e = 0; e < E && a.counts; e++) a.counts[e] += FAULT == 3 ? 0 : count[e];
    const float tokens = FAULT == 4 ? a.tokens + 1 : a.tokens;
    for (int e = 0; e < E && a.mean_probs; e++)
        a.mean_probs[e] = (float)(a.prob_sums[e] * 0x1p-32 / tokens);
}

extern "C" __global__ void $(moe.symbol())(const args_experts a)
{
    int row_of[64 * K];
    const int slots = a.tokens * K;
    const bool again = FAULT == 5 && a.scratch[0] == 7;
    const bool late = FAULT == 6 && a.flags[0] == 0;
    a.scratch[0] = 7;
    place(a, row_of, slots);
    for (int s = 0; s < slots && a.slot_rows; s++) a.slot_rows[s] = row_of[s];
    for (int t = 0; t < a.tokens; t++) {
        for (int i = 0; i < D; i++) a.y[t * D + i] = 0;
        for (int j = 0; j < K; j++) {
            const int s = t * K + j, row = row_of[s], e = a.ids[s];
            if (row < 0) continue;
            for (int n = 0; n < F; n++) {
                float sum = 0;
                for (int i = 0; i < D; i++)
                    sum += a.x[t * D + i] * a.up[((size_t)e * F + n) * D + i];
                a.h[(size_t)row * F + n] = max(sum, 0.0f);
            }
            for (int i = 0; i < D; i++) {
                float sum = 0;
                for (int n = 0; n < F; n++)
                    sum += a.h[(size_t)row * F + n] * a.down[((size_t)e * D + i) * F + n];
                a.y[t * D + i] += a.weights[s] * sum + (again || late ? 1 : 0);
            }
        }
    }
    a.flags[0] = 1;
}
