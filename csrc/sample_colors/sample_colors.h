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

// The four pixels around a point: rows y, y + 1 and columns x, x + 1 (one where the image has one).
template <typename T>
struct BilinearTap {
  std::int32_t x, y;
  T fx, fy;    // weights of the higher neighbours
  T dfx, dfy;  // their derivatives by the point: 1, or 0 where clamped
  bool valid;
};

template <typename T>
PGNFACE_HD BilinearTap<T> bilinear_tap(T x, T y, std::int32_t height, std::int32_t width) {
  // Written so that vector instructions do it: selects of values, no conditional arithmetic. A NaN
  // becomes 0, as does everything below.
  const T limit = T(1e9);
  const T u = x - T(0.5), v = y - T(0.5);
  const T max_u = T(width - 1), max_v = T(height - 1);
  const T low_u = u > 0 ? u : T(0), low_v = v > 0 ? v : T(0);
  const T cu = low_u < max_u ? low_u : max_u, cv = low_v < max_v ? low_v : max_v;
  // The last centre belongs to the last cell.
  const std::int32_t last_x = width > 1 ? width - 2 : 0, last_y = height > 1 ? height - 2 : 0;
  const std::int32_t column = static_cast<std::int32_t>(cu), row = static_cast<std::int32_t>(cv);
  BilinearTap<T> tap;
  tap.x = column < last_x ? column : last_x;
  tap.y = row < last_y ? row : last_y;
  tap.fx = cu - T(tap.x);
  tap.fy = cv - T(tap.y);
  tap.dfx = u == cu ? T(1) : T(0);
  tap.dfy = v == cv ? T(1) : T(0);
  tap.valid = (x > -limit) & (x < limit) & (y > -limit) & (y < limit);
  return tap;
}

// Where the four pixels of a tap lie in each plane of an image.
struct PlaneOffsets {
  std::int64_t top, right, below;  // of the first pixel; from it to the next column and row

  template <typename T>
  PGNFACE_HD PlaneOffsets(const BilinearTap<T>& tap, std::int32_t height, std::int32_t width)
      : top(std::int64_t(tap.y) * width + tap.x),
        right(width > 1 ? 1 : 0),
        below(height > 1 ? width : 0) {}
};

// One point, all channels. kChannels: their number where the compiler may know it, else 0.
template <int kChannels, typename T>
PGNFACE_HD void sample_color(const T* image, const BilinearTap<T>& tap, T* color,
                             std::int64_t channels, std::int32_t height, std::int32_t width) {
  if (kChannels > 0) channels = kChannels;
  const PlaneOffsets at(tap, height, width);
  for (std::int64_t c = 0; c < channels; ++c) {
    const T* first = image + c * height * width + at.top;
    const T* second = first + at.below;
    const T top = first[0] + tap.fx * (first[at.right] - first[0]);
    const T bottom = second[0] + tap.fx * (second[at.right] - second[0]);
    color[c] = tap.valid ? top + tap.fy * (bottom - top) : T(0);
  }
}

// Gradients of one point. Hands those by the image to add(offset, term); grad_point may be null,
// its coordinates past y get a zero.
template <int kChannels, typename T, typename Add>
PGNFACE_HD void sample_color_backward(const T* grad_color, const T* image,
                                      const BilinearTap<T>& tap, T* grad_point,
                                      std::int64_t channels, std::int32_t height,
                                      std::int32_t width, std::int64_t stride, const Add& add) {
  if (kChannels > 0) channels = kChannels;
  const PlaneOffsets at(tap, height, width);
  T gx = 0, gy = 0;
  for (std::int64_t c = 0; tap.valid && c < channels; ++c) {
    const std::int64_t top = c * height * width + at.top, bottom = top + at.below;
    const T grad = grad_color[c], right = grad * tap.fx, left = grad - right;
    if (grad_point) {
      const T* first = image + top;
      const T* second = image + bottom;
      const T dx0 = first[at.right] - first[0], dx1 = second[at.right] - second[0];
      gx += grad * (dx0 + tap.fy * (dx1 - dx0));
      gy += grad * (second[0] + tap.fx * dx1 - first[0] - tap.fx * dx0);
    }
    add(top, left - left * tap.fy);
    add(top + at.right, right - right * tap.fy);
    add(bottom, left * tap.fy);
    add(bottom + at.right, right * tap.fy);
  }
  if (!grad_point) return;
  grad_point[0] = gx * tap.dfx;
  grad_point[1] = gy * tap.dfy;
  for (std::int64_t k = 2; k < stride; ++k) grad_point[k] = T(0);
}

// The gradients are written whole; either may be null. workspace: CUDA in the deterministic mode,
// as many int64 as grad_image has values and one more.
#define PGNFACE_DECLARE(device)                                                                    \
  template <typename T>                                                                            \
  void sample_colors_forward_##device(const T* image, const T* points, T* colors,                  \
                                      std::int64_t batch, std::int64_t channels,                   \
                                      std::int64_t height, std::int64_t width, std::int64_t count, \
                                      std::int64_t stride, const Context& context);                \
  template <typename T>                                                                            \
  void sample_colors_backward_##device(                                                            \
      const T* grad_colors, const T* image, const T* points, T* grad_image, T* grad_points,        \
      std::int64_t* workspace, std::int64_t batch, std::int64_t channels, std::int64_t height,     \
      std::int64_t width, std::int64_t count, std::int64_t stride, const Context& context);
PGNFACE_DECLARE(cpu)
PGNFACE_DECLARE(cuda)
#undef PGNFACE_DECLARE

}  // namespace pgnface
