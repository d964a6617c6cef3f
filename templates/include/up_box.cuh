// up_box.cuh - bulk copies of up weights: both halves of some columns, half after half, whatever the
// layout. The map's box is box() of up_rows.lua. Needs HALVES and ROW_BYTES.

// COLUMNS columns from `column` on of an expert's half 0, and behind them, where gated, of half 1.
template <int COLUMNS>
__device__ __forceinline__ void load_up_rows(unsigned to, const tensor_map &map, unsigned full,
                                             int k, int column, int expert) {
% if p.layout == "interleaved" then
#pragma unroll
    for (int half = 0; half < HALVES; half++)
        tensor_load(to + half * COLUMNS * ROW_BYTES, map, full, k, half, column, expert);
% else
    tensor_load(to, map, full, k, column, 0, expert);
% end
}
