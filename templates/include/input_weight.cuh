// input_weight.cuh - the router's weights where they multiply the experts' inputs. Products are
// linear in x, so a row's sums are scaled instead, before bias and activation: up(w * x) = w *
// up(x).

// The weight of row `row` of an expert; 1 for a shared one, and none for rows from `end` on.
__device__ __forceinline__ float input_weight(const args_gemm_up &args, int expert, int row,
                                              int end) {
    if (row >= end) return 0.0f;
    return expert < LOCAL ? args.weights[args.row_slots[row]] : 1.0f;
}
