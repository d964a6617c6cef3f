// route.cu - from tokens, or from given logits, to chosen experts and their weights, with the sums
// that load balancing needs.
//
// One kernel where SPLIT = 0; else the slices' logits, then the selection. See route.cuh.

$(moe.include("types.cuh"))
$(moe.include("pdl.cuh"))
using XT = $(p.x);
using WT = $(p.w);
using RT = $(p.router_w);
$(moe.args())
$(moe.include("route.cuh"))
% if c.split == 0 then

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol())(const args_route a) {
    extern __shared__ __align__(128) unsigned char shared[];
    dependency_wait();
    dependents_launch();
    clear_flags(a);
    route_tokens(a, shared, (int)blockIdx.x * BT, a.counts != nullptr);
}
% else

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol("logits"))(const args_route a) {
    extern __shared__ __align__(128) unsigned char shared[];
    dependency_wait();
    dependents_launch();
    clear_flags(a);
    if (!a.logits) slice_logits(a, shared);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
$(moe.symbol("select"))(const args_route a) {
    extern __shared__ float logits[];
    dependency_wait();
    dependents_launch();
    select_from_slices<WARPS>(a, logits, (int)blockIdx.x * WARPS, a.counts != nullptr);
}
% end
