// Vectorised loops for the CPU kernels, left to the compiler.
#pragma once

// Compiles a function for AVX-512, for AVX2 with FMA and for the baseline; the loader picks one
// when the module is loaded. Levels of the architecture rather than single extensions: avx512f
// alone has no 64-bit minimum in short registers, and fma alone no wide integers. Elsewhere (ARM,
// other compilers) the baseline is all there is. The sanitizers cannot run before the loader has
// picked, so their builds have the baseline too.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if __GNUC__ >= 12
#define PGNFACE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PGNFACE_CLONES __attribute__((target_clones("avx512f", "fma", "default")))
#endif
#else
#define PGNFACE_CLONES
#endif

// Inlines all calls of a function. Not under the sanitizers, whose checks of everything in one
// place take the compiler minutes.
#if defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PGNFACE_FLATTEN __attribute__((flatten))
#else
#define PGNFACE_FLATTEN
#endif

namespace pgnface {

// The least multiple of `step` that is not below `size`.
template <typename I>
constexpr I round_up(I size, int step) {
  return (size + step - 1) / step * step;
}

// A vector register of kBytes, which may be read from and written to any array of T.
template <typename T, int kBytes>
using VectorOf __attribute__((vector_size(kBytes), aligned(sizeof(T)), may_alias)) = T;

}  // namespace pgnface
