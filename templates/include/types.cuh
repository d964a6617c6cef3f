// types.cuh - element types and their conversions. Generated CUDA includes no header of NVIDIA's.
//
// bf16 and f16 are bare bits in memory; arithmetic is done in float. f32 is float, so that the name
// of a layer's dtype is a type here.

struct bf16 {
    unsigned short bits;
};
struct f16 {
    unsigned short bits;
};
using f32 = float;

static_assert(sizeof(bf16) == 2 && sizeof(f16) == 2 && sizeof(f32) == 4, "element sizes");

// Facts are enums and functions: a constexpr variable of a template would be kept in the image.
template <typename A, typename B> struct same {
    enum { value = 0 };
};
template <typename A> struct same<A, A> {
    enum { value = 1 };
};

// Elements of T in 16 bytes, the unit of every wide access.
template <typename T> __device__ constexpr int per_chunk() {
    return 16 / (int)sizeof(T);
}

__device__ __forceinline__ float to_float(bf16 v) {
    return __uint_as_float((unsigned)v.bits << 16);
}

__device__ __forceinline__ float to_float(f16 v) {
    float out;
    asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(v.bits));
    return out;
}

__device__ __forceinline__ float to_float(f32 v) {
    return v;
}

// Round to nearest, ties to even; overflow becomes infinity.
template <typename T> __device__ __forceinline__ T from_float(float v) {
    if constexpr (same<T, f32>::value == 1) {
        return v;
    } else {
        T out;
        if constexpr (same<T, bf16>::value == 1)
            asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(v));
        else
            asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out.bits) : "f"(v));
        return out;
    }
}

// Two neighbours of a 16-bit type in one register; `low` has the lower address.
template <typename T> __device__ __forceinline__ unsigned pack2(float low, float high) {
    static_assert(sizeof(T) == 2, "pack2 is for 16-bit types");
    unsigned out;
    if constexpr (same<T, bf16>::value == 1)
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
    else
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
    return out;
}

template <typename T> __device__ __forceinline__ void unpack2(unsigned v, float &low, float &high) {
    static_assert(sizeof(T) == 2, "unpack2 is for 16-bit types");
    if constexpr (same<T, bf16>::value == 1) {
        low = __uint_as_float(v << 16);
        high = __uint_as_float(v & 0xffff0000u);
    } else {
        low = to_float(f16{(unsigned short)v});
        high = to_float(f16{(unsigned short)(v >> 16)});
    }
}

// Four words <-> per_chunk<T>() floats.
template <typename T> __device__ __forceinline__ void unpack_chunk(const unsigned (&word)[4],
                                                                   float *out) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if constexpr (sizeof(T) == 4)
            out[i] = __uint_as_float(word[i]);
        else
            unpack2<T>(word[i], out[2 * i], out[2 * i + 1]);
    }
}

template <typename T> __device__ __forceinline__ void pack_chunk(const float *in,
                                                                 unsigned (&word)[4]) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if constexpr (sizeof(T) == 4)
            word[i] = __float_as_uint(in[i]);
        else
            word[i] = pack2<T>(in[2 * i], in[2 * i + 1]);
    }
}
