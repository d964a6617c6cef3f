// redux_outside_mask.cu - lanes that the mask does not name take part in a reduction of the warp
// grid=1 block=32 expect="collective by a lane that its mask does not name"
extern "C" __global__ void k(const int *in, int *out, int n)
{
    int t = threadIdx.x, s = 0;
#ifndef BUG
    if (t < 8)
#endif
        s = __reduce_add_sync(0xffu, in[t]); // BUG
    out[t] = s;
}
