// Marks the per-item maths that the CPU and the CUDA kernels share.
#pragma once

#ifdef __CUDACC__
#define PGNFACE_HD __host__ __device__ __forceinline__
#else
#define PGNFACE_HD inline
#endif
