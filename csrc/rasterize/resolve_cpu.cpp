#include "rasterize/resolve_cpu.h"

#include <algorithm>
#include <limits>

#include "common/simd.h"
#include "rasterize/barycentric.h"

namespace pgnface {
namespace {

constexpr int kPixelBlock = 64;  // pixels at a time
constexpr int kVector = 16;      // loops run over multiples of it

PGNFACE_HD bool all_equal(const std::int32_t* values, int count) {
  std::int32_t difference = 0;
  for (int i = 1; i < count; ++i) difference |= values[i] ^ values[0];
  return difference == 0;
}

// Corners of the triangles at up to kPixelBlock pixels.
template <typename T>
struct PixelCorners {
  alignas(64) T x[3][kPixelBlock];
  alignas(64) T y[3][kPixelBlock];
  alignas(64) T z[3][kPixelBlock];

  void set(int lane, const T* vertices, const std::int32_t* triangle) {
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) {
      const T* vertex = vertices + 3 * std::int64_t(triangle[k]);
      x[k][lane] = vertex[0];
      y[k][lane] = vertex[1];
      z[k][lane] = vertex[2];
    }
  }
  // kVector lanes from `lane` on; null clears them.
  void fill(int lane, const T* vertices, const std::int32_t* triangle) {
    for (int k = 0; k < 3; ++k) {
      const T* vertex = triangle == nullptr ? nullptr : vertices + 3 * std::int64_t(triangle[k]);
      std::fill_n(x[k] + lane, kVector, vertex == nullptr ? T(0) : vertex[0]);
      std::fill_n(y[k] + lane, kVector, vertex == nullptr ? T(0) : vertex[1]);
      std::fill_n(z[k] + lane, kVector, vertex == nullptr ? T(0) : vertex[2]);
    }
  }
  void clear(int lane) {
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) x[k][lane] = y[k][lane] = z[k][lane] = T(0);
  }
  PGNFACE_HD Barycentric<T> at(int lane, T center_x, T center_y) const {
    const T a[2] = {x[0][lane], y[0][lane]}, b[2] = {x[1][lane], y[1][lane]},
            c[2] = {x[2][lane], y[2][lane]};
    return {a, b, c, center_x, center_y};
  }
};

// Weights and depth at kPixelBlock pixels.
template <typename T>
struct Resolved {
  alignas(64) T weight0[kPixelBlock];
  alignas(64) T weight1[kPixelBlock];
  alignas(64) T z[kPixelBlock];

  PGNFACE_HD void set(int i, const PixelCorners<T>& corners, T center_x, T center_y) {
    const Barycentric<T> at = corners.at(i, center_x, center_y);
    weight0[i] = at.weight[0];
    weight1[i] = at.weight[1];
    T sum = 0;
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) sum += at.weight[k] * corners.z[k][i];
    z[i] = sum;
  }
};

// Gradients of what is seen at kPixelBlock pixels, and then of the corners there.
template <typename T>
struct PixelGradients {
  alignas(64) T weight0[kPixelBlock];
  alignas(64) T weight1[kPixelBlock];
  alignas(64) T depth[kPixelBlock];
  alignas(64) T corner[9][kPixelBlock];

  PGNFACE_HD void set(int i, const PixelCorners<T>& corners, T center_x, T center_y) {
    const Barycentric<T> at = corners.at(i, center_x, center_y);
    T grad_weight[3], grad_x[3], grad_y[3];
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) grad_weight[k] = depth[i] * corners.z[k][i];
    grad_weight[0] += weight0[i];
    grad_weight[1] += weight1[i];
    at.backward(grad_weight, grad_x, grad_y);
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) {
      corner[3 * k][i] = grad_x[k];
      corner[3 * k + 1][i] = grad_y[k];
      corner[3 * k + 2][i] = at.weight[k] * depth[i];
    }
  }
};

}  // namespace

template <typename T>
PGNFACE_CLONES void resolve_row(const T* vertices, const std::int32_t* triangles, const Key* keys,
                                std::int64_t y, std::int64_t count, std::int32_t* ids,
                                T* barycentrics, T* depth) {
  PixelCorners<T> corners;
  Resolved<T> resolved;
  const T center_y = T(y) + T(0.5);
  for (std::int64_t begin = 0; begin < count; begin += kPixelBlock) {
    const int pixels = static_cast<int>(std::min<std::int64_t>(count - begin, kPixelBlock));
    std::int32_t covered = 0;
    for (int i = 0; i < pixels; ++i) {
      const Key key = keys[begin + i];
      ids[begin + i] = key == kEmpty ? -1 : static_cast<std::int32_t>(key);
      covered |= ids[begin + i] + 1;
    }
    if (covered == 0) {
      std::fill_n(barycentrics + 2 * begin, 2 * pixels, T(0));
      std::fill_n(depth + begin, pixels, std::numeric_limits<T>::infinity());
      continue;
    }
    const int lanes = round_up(pixels, kVector);
    for (int first = 0; first < lanes; first += kVector) {
      const std::int32_t* group = ids + begin + first;
      const int last = std::min(pixels - first, kVector);
      if (all_equal(group, last)) {  // inside a large triangle, or nowhere
        corners.fill(first, vertices,
                     group[0] < 0 ? nullptr : triangles + 3 * std::int64_t(group[0]));
        continue;
      }
      for (int i = 0; i < kVector; ++i) {
        if (i < last && group[i] >= 0) {
          corners.set(first + i, vertices, triangles + 3 * std::int64_t(group[i]));
        } else {
          corners.clear(first + i);
        }
      }
    }
    const std::int32_t first = static_cast<std::int32_t>(begin);
#pragma omp simd
    for (int i = 0; i < lanes; ++i) {
      resolved.set(i, corners, static_cast<T>(first + i) + T(0.5), center_y);
    }
#pragma omp simd
    for (int i = 0; i < pixels; ++i) {
      const bool empty = ids[begin + i] < 0;
      barycentrics[2 * (begin + i)] = empty ? T(0) : resolved.weight0[i];
      barycentrics[2 * (begin + i) + 1] = empty ? T(0) : resolved.weight1[i];
      depth[begin + i] = empty ? std::numeric_limits<T>::infinity() : resolved.z[i];
    }
  }
}

template <typename T>
PGNFACE_CLONES void resolve_row_backward(const T* grad_barycentrics, const T* grad_depth,
                                         const T* vertices, const std::int32_t* triangles,
                                         std::int64_t triangle_count, const std::int32_t* ids,
                                         std::int64_t y, std::int64_t count, T* grad_vertices) {
  PixelCorners<T> corners;
  PixelGradients<T> grad;
  alignas(64) T center_x[kPixelBlock];
  std::int32_t columns[kPixelBlock];
  const T center_y = T(y) + T(0.5);
  for (std::int64_t x = 0; x < count;) {
    int pixels = 0;
    for (; x < count && pixels < kPixelBlock; ++x) {
      columns[pixels] = static_cast<std::int32_t>(x);
      pixels += ids[x] >= 0 && ids[x] < triangle_count;
    }
    const int lanes = round_up(pixels, kVector);
    for (int i = 0; i < pixels; ++i) {
      const std::int64_t column = columns[i];
      corners.set(i, vertices, triangles + 3 * std::int64_t(ids[column]));
      center_x[i] = T(column) + T(0.5);
      grad.weight0[i] = grad_barycentrics ? grad_barycentrics[2 * column] : T(0);
      grad.weight1[i] = grad_barycentrics ? grad_barycentrics[2 * column + 1] : T(0);
      grad.depth[i] = grad_depth ? grad_depth[column] : T(0);
    }
    for (int i = pixels; i < lanes; ++i) {
      corners.clear(i);
      center_x[i] = grad.depth[i] = grad.weight0[i] = grad.weight1[i] = T(0);
    }
#pragma omp simd
    for (int i = 0; i < lanes; ++i) grad.set(i, corners, center_x[i], center_y);
    for (int i = 0; i < pixels; ++i) {
      const std::int32_t* triangle = triangles + 3 * std::int64_t(ids[columns[i]]);
      for (int k = 0; k < 3; ++k) {
        T* target = grad_vertices + 3 * std::int64_t(triangle[k]);
        for (int axis = 0; axis < 3; ++axis) target[axis] += grad.corner[3 * k + axis][i];
      }
    }
  }
}

#define PGNFACE_INSTANTIATE(T)                                                             \
  template void resolve_row<T>(const T*, const std::int32_t*, const Key*, std::int64_t,    \
                               std::int64_t, std::int32_t*, T*, T*);                       \
  template void resolve_row_backward<T>(const T*, const T*, const T*, const std::int32_t*, \
                                        std::int64_t, const std::int32_t*, std::int64_t,   \
                                        std::int64_t, T*);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
