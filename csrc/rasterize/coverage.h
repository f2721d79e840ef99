// Which pixels a triangle covers, and at what depth it is tested: exact, so that every backend and
// every schedule draws the same triangle ids.
//
// Vertices are snapped to a grid of 1/256 pixel. A pixel is covered when its centre lies inside the
// snapped triangle; a centre on an edge belongs to the triangle that has this edge at its top or
// left (the rule of Direct3D and OpenGL), so that triangles which share an edge draw each pixel
// once. Edge functions are integers (Pineda 1988), so there is no rounding. The depth of the test
// is float32, computed from those integers in a fixed order of operations: files that include this
// one are compiled without fused multiply-add.
#pragma once

#include <cstdint>
#include <cstring>

#include "common/macros.h"

namespace pgnface {

constexpr int kSubpixelBits = 8;
constexpr std::int32_t kSubpixels = 1 << kSubpixelBits;
constexpr float kMaxCoordinate = 1 << 20;       // pixels; keeps edge functions below 2^60
constexpr std::int32_t kUnusable = -(1 << 30);  // x of a vertex beyond it, or not finite
constexpr std::int32_t kOutside = 1 << 30;      // first column of a box that holds no pixel
constexpr std::int32_t kSmallExtent = 1 << 14;  // boxes up to 64 pixels fit 32-bit edge functions

struct alignas(16) FixedVertex {
  std::int32_t x, y;  // 1/256 pixel
  float z;
};

// Rounds to the grid, ties to even.
template <typename T>
PGNFACE_HD std::int32_t snap(T pixels) {
#ifdef __CUDA_ARCH__
  return __float2int_rn(static_cast<float>(pixels) * float(kSubpixels));
#else
  // Adding 1.5 * 2^52 leaves the rounded integer in the low bits: unlike lrint, this vectorises on
  // every processor.
  const double shifted = static_cast<double>(pixels) * kSubpixels + 6755399441055744.0;
  std::int64_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  return static_cast<std::int32_t>(bits);
#endif
}

template <typename T>
PGNFACE_HD FixedVertex snap_vertex(const T* vertex) {
  const T limit = T(kMaxCoordinate);
  const T x = vertex[0], y = vertex[1], z = vertex[2];
  const bool usable = x >= -limit && x <= limit && y >= -limit && y <= limit && z >= -limit &&
                      z <= limit;  // false for NaN
  // Adding zero turns -0 into +0: the two are equal depths but different bits.
  return {usable ? snap(x) : kUnusable, usable ? snap(y) : 0,
          usable ? static_cast<float>(z) + 0.0f : 0.0f};
}

// Pixels of an image whose centres lie in a triangle's bounding box; bounds inclusive.
struct PixelBox {
  std::int32_t x0, y0, x1, y1;
  PGNFACE_HD bool empty() const { return (x0 > x1) | (y0 > y1); }
  PGNFACE_HD std::int64_t area() const { return (std::int64_t(x1) - x0 + 1) * (y1 - y0 + 1); }
};

PGNFACE_HD std::int32_t least(std::int32_t a, std::int32_t b) { return a < b ? a : b; }
PGNFACE_HD std::int32_t greatest(std::int32_t a, std::int32_t b) { return a > b ? a : b; }

// The box within columns [0, width) and rows [row_begin, row_end); empty for an unusable vertex.
PGNFACE_HD PixelBox pixel_box(const FixedVertex& a, const FixedVertex& b, const FixedVertex& c,
                              std::int32_t width, std::int32_t row_begin, std::int32_t row_end) {
  const std::int32_t left = least(a.x, least(b.x, c.x));
  const std::int32_t half = kSubpixels / 2;
  // Without a branch, so that a loop over triangles vectorises.
  return {left == kUnusable ? kOutside : greatest((left + half - 1) >> kSubpixelBits, 0),
          greatest((least(a.y, least(b.y, c.y)) + half - 1) >> kSubpixelBits, row_begin),
          least((greatest(a.x, greatest(b.x, c.x)) - half) >> kSubpixelBits, width - 1),
          least((greatest(a.y, greatest(b.y, c.y)) - half) >> kSubpixelBits, row_end - 1)};
}

PGNFACE_HD bool is_small(const FixedVertex& a, const FixedVertex& b, const FixedVertex& c) {
  // Unsigned: one comparison a pair; coordinates stay below 2^29, so differences do not overflow.
  const auto near = [](std::int32_t p, std::int32_t q) {
    return static_cast<std::uint32_t>(p) - static_cast<std::uint32_t>(q) + kSmallExtent <=
           2u * kSmallExtent;
  };
  return near(a.x, b.x) & near(b.x, c.x) & near(c.x, a.x) & near(a.y, b.y) & near(b.y, c.y) &
         near(c.y, a.y);
}

// Depth of the test above, triangle id below: the least key wins a pixel.
using Key = unsigned long long;  // the type of CUDA's atomics
constexpr Key kEmpty = ~Key(0);

PGNFACE_HD Key depth_key(float depth, std::int32_t id) {
  std::uint32_t bits;
#ifdef __CUDA_ARCH__
  bits = __float_as_uint(depth);
#else
  std::memcpy(&bits, &depth, sizeof bits);
#endif
  const std::uint32_t ordered = bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
  return Key(ordered) << 32 | static_cast<std::uint32_t>(id);
}

// Edge functions of a triangle over its pixel box. Integer is int32 where is_small(), else int64.
template <typename Integer>
struct EdgeFunctions {
  Integer value[3];              // at the box's first pixel, edge k opposite vertex k; >= 0 inside
  Integer step_x[3], step_y[3];  // change from one pixel to the next
  Integer bias[3];               // already added to value: -1 where a centre on the edge is outside
  float z0, dz1, dz2;            // depth = z0 + edge1 * dz1 + edge2 * dz2

  // False when the snapped triangle has no area; no branch, so that a loop over triangles
  // vectorises.
  PGNFACE_HD bool set(const FixedVertex& a, const FixedVertex& b, const FixedVertex& c,
                      const PixelBox& box) {
    const Integer x[3] = {a.x, b.x, c.x}, y[3] = {a.y, b.y, c.y};
    Integer area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0]);
    const Integer sign = area < 0 ? -1 : 1;  // both windings are drawn
    area *= sign;
    const Integer px = Integer(box.x0) * kSubpixels + kSubpixels / 2;
    const Integer py = Integer(box.y0) * kSubpixels + kSubpixels / 2;
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) {
      const int p = k == 2 ? 0 : k + 1, q = k == 0 ? 2 : k - 1;
      const Integer dx = sign * (x[q] - x[p]), dy = sign * (y[q] - y[p]);
      bias[k] = (dy < 0 || (dy == 0 && dx > 0)) ? 0 : -1;
      value[k] = dx * (py - y[p]) - dy * (px - x[p]) + bias[k];
      step_x[k] = -dy * kSubpixels;
      step_y[k] = dx * kSubpixels;
    }
    const float scale = 1.0f / static_cast<float>(area);
    z0 = a.z;
    dz1 = (b.z - a.z) * scale;
    dz2 = (c.z - a.z) * scale;
    return area != 0;
  }

  PGNFACE_HD float depth(Integer value1, Integer value2) const {
    return (z0 + static_cast<float>(value1 - bias[1]) * dz1) +
           static_cast<float>(value2 - bias[2]) * dz2;
  }
};

}  // namespace pgnface
