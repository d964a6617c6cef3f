// paced.cu - see paced.lua.
using XT = float;
using WT = float;
$(moe.args())

extern "C" __global__ void $(moe.symbol())(const args_$(p.kind) a)
{
% if p.kind == "permute" then
    constexpr int HEIGHT[7] = {8, 16, 32, 64, 128, 192, 256};
    int count[E], rows[E];
    for (int e = 0; e < E; e++) count[e] = rows[e] = 0;
    for (int s = 0; s < a.tokens * K; s++)
        if ((unsigned)a.ids[s] < E) count[a.ids[s]]++; // a caller's ids may be nobody's
    a.expert_start[0] = 0;
    for (int e = 0; e < E; e++) {
        const int kept = min(count[e], a.capacity), end = a.expert_start[e] + kept;
        a.expert_rows[e] = kept;
        a.expert_start[e + 1] = (end + a.row_align - 1) / a.row_align * a.row_align;
        for (int row = end; row < a.expert_start[e + 1]; row++) a.row_slots[row] = -1;
        if (a.counts) a.counts[e] += count[e];
        if (a.mean_probs) a.mean_probs[e] = (float)(a.prob_sums[e] * 0x1p-32 / a.tokens);
    }
    for (int h = 0; h < 7; h++) {
        int tiles = 0;
        for (int e = 0; e <= E; e++) {
            a.tile_start[h * (E + 1) + e] = tiles;
            if (e < E) tiles += (a.expert_rows[e] + HEIGHT[h] - 1) / HEIGHT[h];
        }
    }
    for (int j = 0; j < K; j++)
        for (int t = 0; t < a.tokens; t++) {
            const int s = t * K + j, e = a.ids[s];
            const bool kept = (unsigned)e < E && rows[e] < a.capacity;
            const int row = kept ? a.expert_start[e] + rows[e]++ : -1;
            a.slot_rows[s] = row;
            if (row >= 0) a.row_slots[row] = s;
        }
% elseif p.kind == "gemm_up" then
    for (int e = 0; e < E; e++)
        for (int i = 0; i < a.expert_rows[e]; i++) {
            const int row = a.expert_start[e] + i;
            const float *x = a.x + a.row_slots[row] / K * D;
            for (int n = 0; n < F; n++) {
                float sum = 0;
                for (int c = 0; c < D; c++) sum += x[c] * a.up[(e * F + n) * D + c];
                a.h[row * F + n] = max(sum, 0.0f);
            }
        }
% elseif p.kind == "gemm_down" then
    for (int e = 0; e < E; e++)
        for (int i = 0; i < a.expert_rows[e]; i++) {
            const int row = a.expert_start[e] + i;
            for (int c = 0; c < D; c++) {
                float sum = 0;
                for (int n = 0; n < F; n++) sum += a.h[row * F + n] * a.down[(e * D + c) * F + n];
                a.y_rows[row * D + c] = sum;
            }
        }
% elseif p.kind == "combine" then
    for (int t = 0; t < a.tokens; t++)
        for (int i = 0; i < D; i++) {
            float sum = 0;
            for (int s = t * K; s < t * K + K; s++)
                if (a.slot_rows[s] >= 0) sum += a.weights[s] * a.y_rows[a.slot_rows[s] * D + i];
            a.y[t * D + i] = sum;
        }
% end
}
