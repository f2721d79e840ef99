// The tensor cores' matrices of TF32 numbers, 16 x 16 x 8, spread over the lanes of a warp.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <type_traits>

namespace nvcuda {
namespace wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
namespace precision {
struct tf32 {};
}  // namespace precision
enum layout_t { mem_row_major, mem_col_major };

template <typename Use>
constexpr int kColumns = std::is_same_v<Use, matrix_a> ? 8 : 16;
template <typename Use>
constexpr int kElements = std::is_same_v<Use, accumulator> ? 8 : 4;  // of a lane

template <typename Use, int M, int N, int K, typename T, typename Layout = void>
struct fragment {
  static_assert(M == 16 && N == 16 && K == 8);
  static constexpr int num_elements = kElements<Use>;
  float x[num_elements];
};

// The nearest number of 10 explicit bits of mantissa.
inline float __float_to_tf32(float x) {
  if (!std::isfinite(x)) return x;
  return __uint_as_float((__float_as_uint(x) + 0x1000u) & ~0x1fffu);
}

template <typename Use, typename Visit>
void for_elements(const Visit& visit) {
  for (int i = 0; i < kElements<Use>; ++i) {
    const int element = int(emulation::lane()) * kElements<Use> + i;
    visit(i, element / kColumns<Use>, element % kColumns<Use>);
  }
}

inline void require_alignment(const void* address, unsigned stride) {
  if (reinterpret_cast<std::size_t>(address) % 32 != 0 || stride % 4 != 0) {
    emulation::fail("a matrix that is not aligned to 32 bytes, or rows to 16");
  }
}

template <typename Use, typename T, typename Layout>
void load_matrix_sync(fragment<Use, 16, 16, 8, T, Layout>& out, const float* matrix,
                      unsigned stride) {
  require_alignment(matrix, stride);
  emulation::warp_barrier(0xffffffffu);
  for_elements<Use>([&](int i, int row, int column) {
    out.x[i] = std::is_same_v<Layout, row_major> ? matrix[row * stride + column]
                                                 : matrix[column * stride + row];
  });
}

template <typename T>
void store_matrix_sync(float* matrix, const fragment<accumulator, 16, 16, 8, T>& values,
                       unsigned stride, layout_t layout) {
  require_alignment(matrix, stride);
  for_elements<accumulator>([&](int i, int row, int column) {
    matrix[layout == mem_row_major ? row * stride + column : column * stride + row] = values.x[i];
  });
  emulation::warp_barrier(0xffffffffu);
}

template <typename Fragment>
void fill_fragment(Fragment& out, float value) {
  for (float& x : out.x) x = value;
}

template <typename A, typename B, typename C>
void mma_sync(C& out, const A& a, const B& b, const C& sums) {
  static float left[32][16][8], right[32][8][16];
  const unsigned warp = emulation::flat_thread() / 32;
  // The hardware does not look at the bits below.
  const auto seen = [](float x) { return __uint_as_float(__float_as_uint(x) & ~0x1fffu); };
  for_elements<matrix_a>([&](int i, int row, int k) { left[warp][row][k] = seen(a.x[i]); });
  for_elements<matrix_b>([&](int i, int k, int column) { right[warp][k][column] = seen(b.x[i]); });
  emulation::warp_barrier(0xffffffffu);
  for_elements<accumulator>([&](int i, int row, int column) {
    float sum = sums.x[i];
    for (int k = 0; k < 8; ++k) sum += left[warp][row][k] * right[warp][k][column];
    out.x[i] = sum;
  });
  emulation::warp_barrier(0xffffffffu);
}

}  // namespace wmma
}  // namespace nvcuda
