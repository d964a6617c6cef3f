// rule.cuh - what a router's rule makes of a token's logits, by one warp: keys, groups, weights.
// Needs E, K and topk.cuh; a token's logits, `row` [E], are shared or global memory.
//
// Rule $(p.router). Experts are selected by their logits where the order is the same as that of
// scores, which may round to ties.
% moe.include("topk.cuh")
% if p.router_second ~= "always" then
% moe.include("philox.cuh")
% end

// What a rule may ask of a token beside its logits.
struct token_facts {
    // [K] of the table, where experts are picked by it; NULL: none
    const int *ids = nullptr;
    const unsigned long long *seed = nullptr; // NULL: nothing is drawn
    int token = 0;                            // its number
};

% -- What makes a score, or a weight of a choice by itself: a row each.
% local SCORES = {
%   logit = "logit", score = "logit", sigmoid = "sigmoid(logit)",
%   softmax = "expf(logit - over.most) / over.all", relu = "fmaxf(logit, 0.0f)",
%   sqrtsoftplus = "sqrtf(fmaxf(logit, 0.0f) + log1pf(expf(-fabsf(logit))))",
% }
% local scored = p.router_score == "logit" and p.router_weigh or p.router_score
% local softmax = p.router_score == "softmax"
% local among, hash, law = p.router_among, p.router_pick == "hash", p.router_second
% -- The first choice has the largest logit.
% local sorted = p.router_by_logits and not hash
constexpr bool SORTED = $(sorted);
// Weights, keys or the law of the second choice are softmaxes over all experts.
constexpr bool OVER_ALL = $(softmax and (not (among and p.router_by_logits) or law == "nllb"));

// Largest logit, and sum over all experts of exp(logit - most).
struct softmax {
    float most, all;
};

// Sum over all experts of exp(logit - most), in every lane.
__device__ __forceinline__ float exp_sum(const float *row, float most) {
    const int lane = (int)threadIdx.x % 32;
    float sum = 0.0f;
#pragma unroll(PER_LANE < 8 ? PER_LANE : 8)
    for (int i = 0; i < PER_LANE; i++) {
        const int expert = i * 32 + lane;
        if (is_inside(expert)) sum += expf(finite(row[expert]) - most);
    }
    return warp_sum(sum);
}
% if not sorted then

__device__ __forceinline__ float largest(const float *row) {
    const int lane = (int)threadIdx.x % 32;
    float most = finite(row[lane < E ? lane : 0]);
#pragma unroll
    for (int i = 1; i < PER_LANE; i++)
        if (is_inside(i * 32 + lane)) most = fmaxf(most, finite(row[i * 32 + lane]));
    return warp_max(most);
}
% end
% if scored == "sigmoid" then

__device__ __forceinline__ float sigmoid(float v) { return 1.0f / (1.0f + expf(-v)); }
% end
% if not p.router_by_logits or not among and p.router_weigh ~= "sparsemixer" or law == "nllb" then

// What a logit scores.
__device__ __forceinline__ float score(float logit, const softmax &over) {
    return $(SCORES[scored]);
}
% end
% if hash then

// The choices of lanes < K: those of the table, or -1.
__device__ __forceinline__ int look_up(const int *ids) {
    const int lane = (int)threadIdx.x % 32, expert = ids && lane < K ? ids[lane] : -1;
    return (unsigned)expert < (unsigned)E ? expert : -1;
}
% else

__device__ __forceinline__ void make_keys(const float *row, const float *bias, const softmax &over,
                                          keys &key) {
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < PER_LANE; i++) {
        const int expert = i * 32 + lane;
        key[i] = 0;
        if (!is_inside(expert)) continue;
        float value = finite(row[expert]);
% if not p.router_by_logits then
        value = score(value, over);
% end
% if p.router_key_bias then
        value = finite(value + bias[expert]);
% end
        key[i] = order_key(value);
    }
}
% end
% if p.router_groups > 0 then

constexpr int GROUPS = $(p.router_groups), GROUPS_KEPT = $(p.router_groups_kept);
constexpr int GROUP = E / GROUPS; // neighbours of a group
constexpr unsigned OUTSIDE = $(p.router_zero_fill and "0x80000000u" or "0"); // order_key(0), or 0

// The score of group g as a key, in every lane.
__device__ __forceinline__ unsigned group_key(const keys &key, int g) {
    const int lane = (int)threadIdx.x % 32;
    unsigned best = 0, second = 0; // of this lane
#pragma unroll
    for (int i = 0; i < PER_LANE; i++) {
        if (i < g * GROUP / 32 || i > (g * GROUP + GROUP - 1) / 32) continue;
        const unsigned mine = GROUP % 32 == 0 || (i * 32 + lane) / GROUP == g ? key[i] : 0;
        second = max(second, min(best, mine));
        best = max(best, mine);
    }
    const unsigned top = __reduce_max_sync(~0u, best);
% if p.router_group_rule == "sum2" then
    const int first = __ffs((int)__ballot_sync(~0u, best == top)) - 1;
    const unsigned next = __reduce_max_sync(~0u, lane == first ? second : best);
    return order_key(finite(key_value(top) + key_value(next)));
% else
    return top;
% end
}

// Masks the keys outside of the best groups; of equal ones the lower group is better.
__device__ __forceinline__ void keep_groups(keys &key) {
    const int lane = (int)threadIdx.x % 32;
    unsigned mine = 0; // of group `lane`
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        const unsigned that = group_key(key, g);
        if (lane == g) mine = that;
    }
    int better = 0;
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        const unsigned other = __shfl_sync(~0u, mine, g);
        better += other > mine || (other == mine && g < lane);
    }
    const unsigned kept = __ballot_sync(~0u, lane < GROUPS && better < GROUPS_KEPT);
#pragma unroll
    for (int i = 0; i < PER_LANE; i++) {
        const int expert = i * 32 + lane;
        if (is_inside(expert) && !(kept >> expert / GROUP & 1)) key[i] = OUTSIDE;
    }
}
% end
% if p.router_weigh == "sparsemixer" then

// Each choice's weight is its softmax over the experts not taken before it and not far below it.
// 0 is not far below 0.
__device__ __forceinline__ float sparsemixer(const float *row, int expert, float logit) {
    constexpr float FAR = $(moe.float(2 * p.router_jitter));
    const int lane = (int)threadIdx.x % 32;
    unsigned long long taken = 0; // bit i: expert i * 32 + lane
    float weight = 0.0f;
#pragma unroll 1
    for (int j = 0; j < K; j++) {
        const float chosen = __shfl_sync(~0u, logit, j);
        const int taking = __shfl_sync(~0u, expert, j);
        float sum = 0.0f;
#pragma unroll 1
        for (int i = 0; i < PER_LANE; i++) {
            if (!is_inside(i * 32 + lane) || taken >> i & 1) continue;
            const float other = finite(row[i * 32 + lane]);
            if (chosen - other <= FAR * fmaxf(fabsf(other), chosen)) sum += expf(other - chosen);
        }
        sum = warp_sum(sum);
        if (j == lane) weight = 1.0f / sum;
        if (taking % 32 == lane) taken |= 1ull << taking / 32;
    }
    return weight;
}
% end

// The weight of the choice `expert` with `logit` in each lane < K that has one; 0 in the others.
__device__ __forceinline__ float weigh(const float *row, int expert, float logit,
                                       const softmax &over) {
% if p.router_weigh == "sparsemixer" then
    float weight = sparsemixer(row, expert, logit);
% else
    const bool chosen = (int)threadIdx.x % 32 < K$(hash and " && expert >= 0" or "");
% end
% if among then
    const float most = SORTED ? over.most : warp_max(chosen ? logit : -MOST);
    float weight = chosen ? expf(logit - most) : 0.0f;
    const float sum = warp_sum(weight);
    weight = chosen ? weight / sum : 0.0f;
% elseif p.router_weigh ~= "sparsemixer" then
    float weight = chosen ? score(logit, over) : 0.0f;
% end
% if p.router_renorm and not among then
    weight /= warp_sum(weight) + $(moe.float(p.router_epsilon));
% end
% if p.router_scale ~= 1 then
    weight *= $(moe.float(p.router_scale));
% end
    return weight;
}

% if law ~= "always" then

// Whether the second choice stays; of the lane that has it.
__device__ __forceinline__ bool stays(float weight, float logit, const softmax &over,
                                      const token_facts &facts) {
    if (!facts.seed) return true;
    const float u = uniform(draw(*facts.seed, facts.token, 1, DRAW_SECOND).word[0]);
% if law == "mesh" then
    return u < weight / 0.2f;
% elseif law == "nllb" then
    return u < 2.0f * score(logit, over);
% else
    return u < 2.0f * weight;
% end
}
% end

// A token's choices and weights in lanes < K.
struct routed {
    int expert; // -1: a slot that is left out
    float weight;
    softmax over; // all experts; `all` is 0 where nobody asked
};

// Routes a token; `sums`: over.all is asked for. `bias` [E] joins the keys, where the rule has one.
__device__ __forceinline__ routed route_token(const float *row, const float *bias, bool sums,
                                              const token_facts &facts) {
    routed out = {};
% if not sorted then
    if (OVER_ALL || sums) {
        out.over.most = largest(row);
        out.over.all = exp_sum(row, out.over.most);
    }
% end
% if hash then
    out.expert = look_up(facts.ids);
    const float logit = finite(row[max(out.expert, 0)]);
% else
    keys key;
    make_keys(row, bias, out.over, key);
% if p.router_groups > 0 then
    keep_groups(key);
% end
    out.expert = choose(key);
    const float logit = finite(row[out.expert]);
% end
% if sorted then
    out.over.most = __shfl_sync(~0u, logit, 0);
    if (OVER_ALL || sums) out.over.all = exp_sum(row, out.over.most);
% end
    out.weight = weigh(row, out.expert, logit, out.over);
% if law ~= "always" then
    if (threadIdx.x % 32 == 1 && !stays(out.weight, logit, out.over, facts))
        out.expert = -1, out.weight = 0.0f;
% end
    return out;
}
