// Barycentric weights of a pixel centre in the triangle that covers it, and their gradient.
//
// Coverage comes from snapped vertices, the weights from the vertices as they are, so that they are
// differentiable. A centre may then lie outside the triangle by up to the grid's step, which is far
// in terms of a thin triangle. The weights are therefore clamped onto the simplex,
//
//     m_k = max(sign(A) w_k, 0),   weight_k = m_k / (m_0 + m_1 + m_2),
//
// with w_k the signed area of the triangle (centre, v_{k+1}, v_{k+2}) and A = w_0 + w_1 + w_2. A
// clamped weight passes no gradient. A triangle below the grid's resolution (sum of m under 2^-16
// square pixels) passes no gradient to x and y at all; that keeps gradients finite.
#pragma once

#include <cstdint>

#include "common/macros.h"

namespace pgnface {

template <typename T>
struct Barycentric {
  T weight[3];
  T x[3], y[3];  // vertices relative to the pixel centre
  T factor[3];   // d(m_k)/d(w_k): +-1, or 0 where clamped
  T scale;       // 1 / sum of m, or 0 where no gradient passes

  PGNFACE_HD Barycentric(const T* a, const T* b, const T* c, T center_x, T center_y) {
    const T* vertices[3] = {a, b, c};
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) {
      x[k] = vertices[k][0] - center_x;
      y[k] = vertices[k][1] - center_y;
    }
    const T w[3] = {x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2],
                    x[0] * y[1] - x[1] * y[0]};
    const T sign = w[0] + w[1] + w[2] < 0 ? T(-1) : T(1);
    T sum = 0;
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) {
      factor[k] = sign * w[k] >= 0 ? sign : T(0);
      weight[k] = factor[k] * w[k];
      sum += weight[k];
    }
    const bool usable = sum > T(1e-30);
    const T inverse = usable ? 1 / sum : T(0);
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) weight[k] = usable ? weight[k] * inverse : T(1) / T(3);
    scale = sum >= T(1) / T(65536) ? inverse : T(0);
  }

  // Gradients by x and y of the vertices, given those by the three weights.
  PGNFACE_HD void backward(const T* grad_weight, T* grad_x, T* grad_y) const {
    const T mean =
        grad_weight[0] * weight[0] + grad_weight[1] * weight[1] + grad_weight[2] * weight[2];
    T g[3];
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) g[k] = (grad_weight[k] - mean) * scale * factor[k];
    grad_x[0] = g[2] * y[1] - g[1] * y[2];
    grad_x[1] = g[0] * y[2] - g[2] * y[0];
    grad_x[2] = g[1] * y[0] - g[0] * y[1];
    grad_y[0] = g[1] * x[2] - g[2] * x[1];
    grad_y[1] = g[2] * x[0] - g[0] * x[2];
    grad_y[2] = g[0] * x[1] - g[1] * x[0];
  }
};

// Weights in the triangle at the centre of pixel (row y, column x).
template <typename T>
PGNFACE_HD Barycentric<T> barycentric_at(const T* vertices, const std::int32_t* triangle,
                                         std::int64_t x, std::int64_t y) {
  return {vertices + 3 * std::int64_t(triangle[0]), vertices + 3 * std::int64_t(triangle[1]),
          vertices + 3 * std::int64_t(triangle[2]), T(x) + T(0.5), T(y) + T(0.5)};
}

// Weights of vertices 0 and 1, and the depth, of one covered pixel.
template <typename T>
PGNFACE_HD void resolve_pixel(const T* vertices, const std::int32_t* triangle, std::int64_t x,
                              std::int64_t y, T* weights, T* depth) {
  const Barycentric<T> at = barycentric_at(vertices, triangle, x, y);
  weights[0] = at.weight[0];
  weights[1] = at.weight[1];
  T z = 0;
  PGNFACE_UNROLL
  for (int k = 0; k < 3; ++k) z += at.weight[k] * vertices[3 * std::int64_t(triangle[k]) + 2];
  *depth = z;
}

// Adds one pixel's gradient to the vertices (x, y, z) of its triangle. Either gradient may be null.
template <typename T, typename Add>
PGNFACE_HD void resolve_pixel_backward(const T* vertices, const std::int32_t* triangle,
                                       std::int64_t x, std::int64_t y, const T* grad_weights,
                                       const T* grad_depth, const Add& add) {
  const Barycentric<T> at = barycentric_at(vertices, triangle, x, y);
  const T grad_z = grad_depth ? *grad_depth : T(0);
  T grad_weight[3], grad_x[3], grad_y[3];
  PGNFACE_UNROLL
  for (int k = 0; k < 3; ++k) {
    grad_weight[k] = grad_z * vertices[3 * std::int64_t(triangle[k]) + 2];
    if (grad_weights && k < 2) grad_weight[k] += grad_weights[k];
  }
  at.backward(grad_weight, grad_x, grad_y);
  PGNFACE_UNROLL
  for (int k = 0; k < 3; ++k) {
    const std::int64_t vertex = 3 * std::int64_t(triangle[k]);
    add(vertex, grad_x[k]);
    add(vertex + 1, grad_y[k]);
    if (grad_depth) add(vertex + 2, at.weight[k] * grad_z);
  }
}

}  // namespace pgnface
