// Products of small matrices by the tensor cores, as exact as in float32.
#pragma once

#include <cuda_runtime.h>
#ifdef __CUDACC__
#include <mma.h>
#endif

#include <type_traits>

namespace pgnface {

// Sums of products of a 16 x 8 matrix A with kTiles 8 x 16 matrices B, held by one warp; all lanes
// call every function. A and the tiles of B lie in shared memory, 32-byte aligned, with row strides
// that are multiples of 4.
//
// Each number is split into two that the tensor cores' 11 bits hold, and three of the four products
// are summed: the fourth is below float32's precision. An infinite number becomes NaN: its low part
// is the difference of two infinities. Without tensor cores for such numbers
// (before sm_80) the warp multiplies on its own.
template <int kTiles>
class TileSums {
 public:
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  __device__ void clear() {
    for (int t = 0; t < kTiles; ++t) nvcuda::wmma::fill_fragment(sums_[t], 0.0f);
  }

  // kDepthFirst: A is a[k * a_row + m] and tile t of B is b[k * b_row + 16 * t + n]; else A is
  // a[m * a_row + k] and tile t of B is b[(16 * t + n) * b_row + k].
  template <bool kDepthFirst>
  __device__ void add(const float* a, int a_row, const float* b, int b_row) {
    using namespace nvcuda::wmma;
    using LayoutA = std::conditional_t<kDepthFirst, col_major, row_major>;
    using LayoutB = std::conditional_t<kDepthFirst, row_major, col_major>;
    using FragmentA = fragment<matrix_a, 16, 16, 8, precision::tf32, LayoutA>;
    using FragmentB = fragment<matrix_b, 16, 16, 8, precision::tf32, LayoutB>;
    FragmentA high_a, low_a;
    load_matrix_sync(high_a, a, a_row);
    split(high_a, low_a);
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      FragmentB high_b, low_b;
      load_matrix_sync(high_b, b + (kDepthFirst ? 16 * t : 16 * t * b_row), b_row);
      split(high_b, low_b);
      mma_sync(sums_[t], high_a, low_b, sums_[t]);
      mma_sync(sums_[t], low_a, high_b, sums_[t]);
      mma_sync(sums_[t], high_a, high_b, sums_[t]);
    }
  }

  // out[m * row + n] = the sums of tile t, in shared memory.
  __device__ void store(int t, float* out, int row) const {
    nvcuda::wmma::store_matrix_sync(out, sums_[t], row, nvcuda::wmma::mem_row_major);
  }

 private:
  template <typename Fragment>
  static __device__ void split(Fragment& high, Fragment& low) {
#pragma unroll
    for (int i = 0; i < high.num_elements; ++i) {
      const float value = high.x[i];
      high.x[i] = nvcuda::wmma::__float_to_tf32(value);
      low.x[i] = nvcuda::wmma::__float_to_tf32(value - high.x[i]);
    }
  }

  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 8, float> sums_[kTiles];
#else
  // A lane has half a row of every tile.
  __device__ void clear() {
    for (int t = 0; t < kTiles; ++t) {
      for (int i = 0; i < 8; ++i) sums_[t][i] = 0.0f;
    }
  }

  template <bool kDepthFirst>
  __device__ void add(const float* a, int a_row, const float* b, int b_row) {
    const int m = threadIdx.x % 32 / 2, first = threadIdx.x % 2 * 8;
    for (int k = 0; k < 8; ++k) {
      const float factor = kDepthFirst ? a[k * a_row + m] : a[m * a_row + k];
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
#pragma unroll
        for (int i = 0; i < 8; ++i) {
          const int n = 16 * t + first + i;
          sums_[t][i] += factor * (kDepthFirst ? b[k * b_row + n] : b[n * b_row + k]);
        }
      }
    }
  }

  __device__ void store(int t, float* out, int row) const {
    const int m = threadIdx.x % 32 / 2, first = threadIdx.x % 2 * 8;
    for (int i = 0; i < 8; ++i) out[m * row + first + i] = sums_[t][i];
  }

 private:
  float sums_[kTiles][8];
#endif
};

}  // namespace pgnface
