// faulty.cu - see faulty.lua.
using XT = float; using WT = XT;
$(moe.args())
% if c.fault == 1 then moe.error("thrown on purpose") end
% while c.fault == 2 do end

extern "C" __global__ void $(moe.symbol())(const args_combine a)
{
% if c.fault == 3 then
    this is not CUDA;
% end
% if c.fault == 6 then
    __shared__ float large[20000];
    large[threadIdx.x * 600] = 1;
    __syncthreads();
    if (large[a.tokens] > 1) a.y[0] = 1;
% end
    const size_t t = blockIdx.x;
    for (int i = threadIdx.x; i < D; i += 32) {
        float sum = 0;
        for (int j = 0; j < K; j++) {
            const int row = a.slot_rows[t * K + j];
            if (row >= 0) sum += a.weights[t * K + j] * a.y_rows[(size_t)row * D + i];
        }
% if c.fault == 4 then
        sum += 1;
% elseif c.fault == 5 then
        if (t == a.tokens - 1) a.y[(t + 1) * D + i] = sum;
% elseif c.fault == 7 then
        if (t == 3 && i == 5) continue;
% end
        a.y[t * D + i] = sum;
    }
}
