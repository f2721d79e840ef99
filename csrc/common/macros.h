// Marks the per-item maths that the CPU and the CUDA kernels share.
#pragma once

#ifdef __CUDACC__
#define PGNFACE_HD __host__ __device__ __forceinline__
#elif defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PGNFACE_HD inline __attribute__((always_inline))
#else
#define PGNFACE_HD inline
#endif

// Before a loop over a few components, in maths that a loop over many items calls: only when it is
// unrolled early does the outer loop vectorise.
#if defined(__CUDACC__)
#define PGNFACE_UNROLL _Pragma("unroll")
#elif defined(__GNUC__) && !defined(__clang__)
#define PGNFACE_UNROLL _Pragma("GCC unroll 4")
#elif defined(__clang__)
#define PGNFACE_UNROLL _Pragma("unroll")
#else
#define PGNFACE_UNROLL
#endif
