// faulty_router.cu - see faulty_router.lua. The rule is softmax>topk>renorm.
using XT = float;
using WT = float;
using RT = float;
$(moe.args())

__device__ void route(const args_route_permute &a, int t) {
    float logit[E], top = -1e30f, all = 0, sum = 0;
    bool taken[E];
    for (int e = 0; e < E; e++) {
        logit[e] = a.logits ? a.logits[t * E + e] : 0;
        taken[e] = false;
        for (int i = 0; i < D && !a.logits; i++)
            logit[e] += a.x[t * D + i] * a.router_weight[e * D + i];
        top = max(top, logit[e]);
    }
    for (int e = 0; e < E; e++) all += expf(logit[e] - top);
    for (int e = 0; e < E && a.prob_sums; e++)
        a.prob_sums[e] += (unsigned long long)(expf(logit[e] - top) / all * 0x1p32f);
    for (int j = 0; j < K; j++) {
        int best = -1;
        for (int e = 0; e < E; e++)
            if (!taken[e] && (best < 0 || logit[e] > logit[best])) best = e;
        taken[best] = true;
        a.ids[t * K + j] = best;
        a.weights[t * K + j] = expf(logit[best] - top);
        sum += a.weights[t * K + j];
    }
    for (int j = 0; j < K; j++) a.weights[t * K + j] /= sum;
}

__device__ void write_maps(const args_route_permute &a) {
    constexpr int HEIGHT[7] = {8, 16, 32, 64, 128, 192, 256};
    const int align = FAULT == 2 ? 1 : a.row_align, slots = a.tokens * K;
    int count[E], rows[E];
    for (int e = 0; e < E; e++) count[e] = rows[e] = 0;
    for (int s = 0; s < slots; s++) count[a.ids[s]]++;
    a.expert_start[0] = 0;
    for (int e = 0; e < E; e++) {
        const int kept = min(count[e], a.capacity), end = a.expert_start[e] + kept;
        a.expert_rows[e] = kept;
        a.expert_start[e + 1] = (end + align - 1) / align * align;
        for (int row = end; row < a.expert_start[e + 1]; row++) a.row_slots[row] = -1;
        if (a.counts) a.counts[e] += FAULT == 4 ? 2 * count[e] : count[e];
        if (a.mean_probs)
            a.mean_probs[e] = FAULT == 5 ? 0 : (float)(a.prob_sums[e] * 0x1p-32 / a.tokens);
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
            const int row = rows[e] < a.capacity ? a.expert_start[e] + rows[e]++ : -1;
            a.slot_rows[s] = row;
            if (row >= 0) a.row_slots[row] = s;
        }
    if (FAULT == 3) a.slot_rows[0] = a.slot_rows[K];
}

extern "C" __global__ void $(moe.symbol())(const args_route_permute a)
{
    for (int t = 0; t < a.tokens && (!a.given || FAULT == 1); t++) route(a, t);
    for (int i = 0; i < 1024 && a.flags; i++) a.flags[i] = 0;
    write_maps(a);
}
