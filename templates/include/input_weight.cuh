// input_weight.cuh - the router's weights where they multiply the experts' inputs. Products are linear
// in x, so a row's sums are scaled instead, before bias and activation: up(w * x) = w * up(x).

// The weight of an expert's row `row`; rows from `end` on have none.
__device__ __forceinline__ float input_weight(const args_gemm_up &args, int row, int end) {
    return row < end ? args.weights[args.row_slots[row]] : 0.0f;
}
