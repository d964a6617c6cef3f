// weights_box.cuh - bulk copies of an expert's weights, 64 of K each: of up, both halves of some
// columns, half after half, whatever the layout. Boxes are those of weights_box.lua. Needs HALVES
// and ROW_BYTES.
% local up = p.kind ~= "gemm_down"
% local apart = p.layout ~= "interleaved"
% local shared_map = p.shared_experts > 0 and "const tensor_map &shared, " or ""
% if up then

// COLUMNS columns from `column` on of half 0, and behind them, where gated, of half 1.
template <int COLUMNS>
__device__ __forceinline__ void load_up_rows(unsigned to, const tensor_map &map,
                                             $(shared_map)unsigned full, int k, int column,
                                             int expert) {
%   if p.shared_experts > 0 then
    if (expert >= LOCAL) {
%     if apart then
        tensor_load(to, shared, full, k, column, expert - LOCAL, 0);
%     else
#pragma unroll
        for (int half = 0; half < HALVES; half++)
            tensor_load(to + half * COLUMNS * ROW_BYTES, shared, full, k, half, column,
                        expert - LOCAL);
%     end
        return;
    }
%   end
%   if apart then
    tensor_load(to, map, full, k, column, 0, expert);
%   else
#pragma unroll
    for (int half = 0; half < HALVES; half++)
        tensor_load(to + half * COLUMNS * ROW_BYTES, map, full, k, half, column, expert);
%   end
}
% end
% if p.kind ~= "gemm_up" then

// Columns from `column` on.
__device__ __forceinline__ void load_down_rows(unsigned to, const tensor_map &map,
                                               $(shared_map)unsigned full, int k, int column,
                                               int expert) {
%   if p.shared_experts > 0 then
    if (expert >= LOCAL) {
        tensor_load(to, shared, full, k, expert - LOCAL, column);
        return;
    }
%   end
    tensor_load(to, map, full, k, column, expert);
}
% end
