// Bilinear lookup of image colours at points.
//
//   image  (batch, channels, height, width), contiguous
//   points (batch, count, stride >= 2): x right, y down, pixels, the image's corner is (0, 0), so
//          the pixel in row i and column j has its centre at (j + 0.5, i + 0.5)
//   colors (batch, count, channels)
//
// Beyond the outermost pixel centres the nearest border value continues, with zero gradient for the
// coordinate that was clamped. A point that is not finite yields zeros and no gradients.
#pragma once

#include <cstdint>

#include "common/context.h"
#include "common/macros.h"

namespace pgnface {

// The four pixels around a point along one axis pair, their weights and d(weight)/d(coordinate).
template <typename T>
struct BilinearTap {
  std::int64_t x0, x1, y0, y1;
  T fx, fy;    // weight of the higher neighbour
  T dfx, dfy;  // derivative of fx, fy by the point: 1, or 0 where clamped
  bool valid;
};

template <typename T>
PGNFACE_HD BilinearTap<T> bilinear_tap(T x, T y, std::int64_t height, std::int64_t width) {
  BilinearTap<T> tap{};
  const T limit = T(1e9);
  tap.valid = x > -limit && x < limit && y > -limit && y < limit;  // false for NaN
  if (!tap.valid) return tap;
  const T u = x - T(0.5), v = y - T(0.5);
  const T max_u = T(width - 1), max_v = T(height - 1);
  const T cu = u < 0 ? T(0) : (u > max_u ? max_u : u);
  const T cv = v < 0 ? T(0) : (v > max_v ? max_v : v);
  tap.dfx = (u == cu) ? T(1) : T(0);
  tap.dfy = (v == cv) ? T(1) : T(0);
  tap.x0 = static_cast<std::int64_t>(cu);
  tap.y0 = static_cast<std::int64_t>(cv);
  if (tap.x0 > 0 && tap.x0 == width - 1) --tap.x0;  // the last centre belongs to the last cell
  if (tap.y0 > 0 && tap.y0 == height - 1) --tap.y0;
  tap.x1 = tap.x0 + (width > 1);
  tap.y1 = tap.y0 + (height > 1);
  tap.fx = cu - T(tap.x0);
  tap.fy = cv - T(tap.y0);
  return tap;
}

// One point, all channels.
template <typename T>
PGNFACE_HD void sample_color(const T* image, const T* point, T* color, std::int64_t channels,
                             std::int64_t height, std::int64_t width) {
  const BilinearTap<T> tap = bilinear_tap(point[0], point[1], height, width);
  for (std::int64_t c = 0; c < channels; ++c) {
    const T* plane = image + c * height * width;
    color[c] = T(0);
    if (!tap.valid) continue;
    const T* row0 = plane + tap.y0 * width;
    const T* row1 = plane + tap.y1 * width;
    const T top = row0[tap.x0] + tap.fx * (row0[tap.x1] - row0[tap.x0]);
    const T bottom = row1[tap.x0] + tap.fx * (row1[tap.x1] - row1[tap.x0]);
    color[c] = top + tap.fy * (bottom - top);
  }
}

// Adds one colour's gradient to the four pixels of its plane.
template <typename T, typename Add>
PGNFACE_HD void scatter_color(const BilinearTap<T>& tap, T grad, T* plane, std::int64_t width,
                              Add add) {
  if (!tap.valid) return;
  add(plane + tap.y0 * width + tap.x0, grad * (1 - tap.fx) * (1 - tap.fy));
  add(plane + tap.y0 * width + tap.x1, grad * tap.fx * (1 - tap.fy));
  add(plane + tap.y1 * width + tap.x0, grad * (1 - tap.fx) * tap.fy);
  add(plane + tap.y1 * width + tap.x1, grad * tap.fx * tap.fy);
}

// Gradients of one point; grad_image may be null. Coordinates past y get a zero.
template <typename T, typename Add>
PGNFACE_HD void sample_color_backward(const T* grad_color, const T* image, const T* point,
                                      T* grad_image, T* grad_point, std::int64_t channels,
                                      std::int64_t height, std::int64_t width, std::int64_t stride,
                                      Add add) {
  const BilinearTap<T> tap = bilinear_tap(point[0], point[1], height, width);
  T gx = 0, gy = 0;
  for (std::int64_t c = 0; tap.valid && c < channels; ++c) {
    const T* row0 = image + c * height * width + tap.y0 * width;
    const T* row1 = image + c * height * width + tap.y1 * width;
    const T dx0 = row0[tap.x1] - row0[tap.x0], dx1 = row1[tap.x1] - row1[tap.x0];
    gx += grad_color[c] * (dx0 + tap.fy * (dx1 - dx0));
    gy += grad_color[c] * (row1[tap.x0] + tap.fx * dx1 - row0[tap.x0] - tap.fx * dx0);
    if (grad_image) scatter_color(tap, grad_color[c], grad_image + c * height * width, width, add);
  }
  grad_point[0] = gx * tap.dfx;
  grad_point[1] = gy * tap.dfy;
  for (std::int64_t k = 2; k < stride; ++k) grad_point[k] = T(0);
}

template <typename T>
void sample_colors_forward_cpu(const T* image, const T* points, T* colors, std::int64_t batch,
                               std::int64_t channels, std::int64_t height, std::int64_t width,
                               std::int64_t count, std::int64_t stride, const Context& context);

// grad_image (like image) must come zeroed; grad_points is written whole.
template <typename T>
void sample_colors_backward_cpu(const T* grad_colors, const T* image, const T* points,
                                T* grad_image, T* grad_points, std::int64_t batch,
                                std::int64_t channels, std::int64_t height, std::int64_t width,
                                std::int64_t count, std::int64_t stride, const Context& context);

template <typename T>
void sample_colors_forward_cuda(const T* image, const T* points, T* colors, std::int64_t batch,
                                std::int64_t channels, std::int64_t height, std::int64_t width,
                                std::int64_t count, std::int64_t stride, const Context& context);

template <typename T>
void sample_colors_backward_cuda(const T* grad_colors, const T* image, const T* points,
                                 T* grad_image, T* grad_points, std::int64_t batch,
                                 std::int64_t channels, std::int64_t height, std::int64_t width,
                                 std::int64_t count, std::int64_t stride, const Context& context);

}  // namespace pgnface
