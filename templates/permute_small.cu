// permute_small.cu - index maps from tokens to expert rows by one block: one launch and no
// scratch, right for any number of tokens and fast for few.

$(moe.args())
constexpr int MAP_THREADS = THREADS;
$(moe.include("pdl.cuh"))
$(moe.include("permute.cuh"))

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol())(const args_permute a) {
    extern __shared__ int shared[];
    dependency_wait();
    dependents_launch();
    write_maps_alone(a, tables_in(shared));
}
