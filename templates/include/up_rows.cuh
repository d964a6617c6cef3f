// up_rows.cuh - where gate and up rows stand among an expert's weights and biases: half h of column c
// is row h * HALF_ROWS + c * COLUMN_ROWS. Half 0 is the gate or, for layout=up_gate, what it gates:
// activate() knows. gemm_down has one half.
constexpr int COLUMN_ROWS = $(p.layout == "interleaved" and 2 or 1);
constexpr int HALF_ROWS = $(p.layout == "interleaved" and "1" or "F");
