// approximations.cu - ex2, rcp, rsqrt and lg2: not exact, so within a few units of the last place
// block=128 out=640 ulp=4 data=f32
extern "C" __global__ void k(const __grid_constant__ arguments a)
{
    float x = __uint_as_float(a.in[threadIdx.x]), y = fabsf(x) + 0.125f, r[5];
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r[0]) : "f"(x));
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r[1]) : "f"(y));
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r[2]) : "f"(y));
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(r[3]) : "f"(y + 2.0f));
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r[4]) : "f"(-y));
    for (int i = 0; i < 5; i++) a.out[i * 128 + threadIdx.x] = __float_as_uint(r[i]);
}
