// weights.cuh - where the rows of an expert's weights stand: half h of column c begins at element
// (h * half_rows + c * COLUMN_ROWS) * row_step of what expert_weights() gives, and of biases at h *
// half_rows + c * COLUMN_ROWS. Half 0 is the gate or, for layout=up_gate, what it gates: activate()
// knows. gemm_down has one half.
//
// Experts from LOCAL on are slices of the shared one, whose halves are SHARED * F rows apart, and
// whose rows of down are SHARED * F elements long.
% local up = p.kind == "gemm_up"
% local apart = p.layout ~= "interleaved"
% local name = up and "up" or "down"
constexpr int COLUMN_ROWS = $(apart and 1 or 2);

__device__ __forceinline__ constexpr int half_rows(int expert) {
% local parted = p.shared_experts > 1 and "expert < LOCAL ? F : SHARED * F"
    return $(not apart and "1" or up and parted or "F");
}

__device__ __forceinline__ constexpr int row_step(int expert) {
    return $(up and "D" or p.shared_experts > 1 and "expert < LOCAL ? F : SHARED * F" or "F");
}

__device__ __forceinline__ const WT *expert_weights(const args_$(p.kind) &args, int expert) {
% if p.shared_experts > 0 then
    if (expert >= LOCAL)
        return args.shared_$(name) +
               (long long)(expert - LOCAL) * $(up and "F * COLUMN_ROWS * D" or "F");
% end
    return args.$(name) +
           (long long)expert * $(up and (p.gated and "2 * F" or "F") or "D") * $(up and "D" or "F");
}
