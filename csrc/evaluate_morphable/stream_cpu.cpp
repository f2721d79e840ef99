#include "evaluate_morphable/stream_cpu.h"

#include <algorithm>

#include "common/prefetch.h"
#include "common/simd.h"
#include "evaluate_morphable/evaluate_morphable.h"

namespace pgnface {
namespace {

constexpr int kRows = 8;   // at a time, which is how the processor reads the memory fastest
constexpr int kAhead = 8;  // cache lines of each

// Pieces of kRows rows of a basis; rows past the last repeat it.
template <typename B>
struct Rows {
  Rows(const B* basis, std::int64_t row, std::int64_t first, std::int64_t count) {
    for (int k = 0; k < kRows; ++k) {
      now[k] = basis + std::min(first + k, count - 1) * row;
      next[k] = basis + std::min(first + kRows + k, count - 1) * row;
    }
  }
  // Asks for what comes kAhead lines after a column, which may be the start of the next rows.
  PGNFACE_HD void prefetch_after(std::int64_t column, std::int64_t size) const {
    const std::int64_t ahead = column + kAhead * kLine;
    for (int k = 0; k < kRows; ++k) {
      prefetch(ahead < size ? now[k] + ahead : next[k] + (ahead - size));
    }
  }
  static constexpr std::int64_t kLine = 64 / sizeof(B);
  const B *now[kRows], *next[kRows];
};

template <typename T, typename B>
PGNFACE_CLONES void add_eight_rows(const Rows<B>& rows, const T* factors, std::int64_t count,
                                   std::int64_t size, T* __restrict out) {
  T f[kRows];
  for (int k = 0; k < kRows; ++k) f[k] = k < count ? factors[k] : T(0);
  const B *b0 = rows.now[0], *b1 = rows.now[1], *b2 = rows.now[2], *b3 = rows.now[3],
          *b4 = rows.now[4], *b5 = rows.now[5], *b6 = rows.now[6], *b7 = rows.now[7];
  for (std::int64_t begin = 0; begin < size; begin += rows.kLine) {
    rows.prefetch_after(begin, size);
    const std::int64_t end = std::min(size, begin + rows.kLine);
    for (std::int64_t j = begin; j < end; ++j) {
      out[j] += ((f[0] * b0[j] + f[1] * b1[j]) + (f[2] * b2[j] + f[3] * b3[j])) +
                ((f[4] * b4[j] + f[5] * b5[j]) + (f[6] * b6[j] + f[7] * b7[j]));
    }
  }
}

template <typename T, typename B>
PGNFACE_CLONES void dot_eight_rows(const Rows<B>& rows, const T* __restrict x, std::int64_t count,
                                   std::int64_t size, T* __restrict sums) {
  T lanes[kRows][Rows<B>::kLine] = {};
  for (std::int64_t begin = 0; begin < size; begin += rows.kLine) {
    rows.prefetch_after(begin, size);
    const std::int64_t columns = std::min(size - begin, rows.kLine);
    for (int k = 0; k < kRows; ++k) {
      const B* __restrict values = rows.now[k] + begin;
      T* __restrict lane = lanes[k];
#pragma omp simd
      for (std::int64_t i = 0; i < columns; ++i) lane[i] += x[begin + i] * values[i];
    }
  }
  for (int k = 0; k < kRows && k < count; ++k) {
    T total = 0;
    for (int i = 0; i < rows.kLine; ++i) total += lanes[k][i];
    sums[k] += total;
  }
}

}  // namespace

template <typename T, typename B>
void add_rows(const B* basis, std::int64_t row, const T* factors, std::int64_t count,
              std::int64_t size, T* out) {
  for (std::int64_t p = 0; p < count; p += kRows) {
    add_eight_rows(Rows<B>(basis, row, p, count), factors + p, count - p, size, out);
  }
}

template <typename T, typename B>
void dot_rows(const B* basis, std::int64_t row, const T* values, std::int64_t count,
              std::int64_t size, T* sums) {
  for (std::int64_t p = 0; p < count; p += kRows) {
    dot_eight_rows(Rows<B>(basis, row, p, count), values, count - p, size, sums + p);
  }
}

template <typename T>
PGNFACE_CLONES void pose_block(const T* __restrict shape, T scale, const T* __restrict rotation,
                               const T* __restrict translation, std::int64_t size,
                               T* __restrict out) {
  for (std::int64_t j = 0; j < size; j += 3) {
    for (int i = 0; i < 3; ++i) {
      out[j + i] = pose_coordinate(shape + j, scale, rotation + 3 * i, translation[i]);
    }
  }
}

template <typename T>
PGNFACE_CLONES void unpose_block(const T* __restrict grad, const T* __restrict posed, T scale,
                                 const T* __restrict rotation, const T* __restrict translation,
                                 std::int64_t size, T* __restrict out, T* __restrict sums) {
  T s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0, s8 = 0, g0 = 0, g1 = 0, g2 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3, s4, s5, s6, s7, s8, g0, g1, g2)
  for (std::int64_t v = 0; v < size / 3; ++v) {
    const T* g = grad + 3 * v;
    const T x = posed[3 * v] - translation[0], y = posed[3 * v + 1] - translation[1],
            z = posed[3 * v + 2] - translation[2];
    for (int i = 0; i < 3; ++i) out[3 * v + i] = unpose_coordinate(g, scale, rotation, i);
    s0 += g[0] * x, s1 += g[0] * y, s2 += g[0] * z, g0 += g[0];
    s3 += g[1] * x, s4 += g[1] * y, s5 += g[1] * z, g1 += g[1];
    s6 += g[2] * x, s7 += g[2] * y, s8 += g[2] * z, g2 += g[2];
  }
  const T totals[kPoseSums] = {s0, s1, s2, s3, s4, s5, s6, s7, s8, g0, g1, g2};
  for (int i = 0; i < kPoseSums; ++i) sums[i] += totals[i];
}

#define PGNFACE_INSTANTIATE(T, B)                                                                 \
  template void add_rows<T, B>(const B*, std::int64_t, const T*, std::int64_t, std::int64_t, T*); \
  template void dot_rows<T, B>(const B*, std::int64_t, const T*, std::int64_t, std::int64_t, T*);
PGNFACE_INSTANTIATE(float, float)
PGNFACE_INSTANTIATE(float, std::int16_t)
PGNFACE_INSTANTIATE(double, double)
PGNFACE_INSTANTIATE(double, std::int16_t)
#undef PGNFACE_INSTANTIATE

#define PGNFACE_INSTANTIATE(T)                                                    \
  template void pose_block<T>(const T*, T, const T*, const T*, std::int64_t, T*); \
  template void unpose_block<T>(const T*, const T*, T, const T*, const T*, std::int64_t, T*, T*);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
