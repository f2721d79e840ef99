// Which vertices are seen in a depth image.
//
//   vertices  (batch, vertex_count, 3) image space
//   triangles (triangle_count, 3) int32
//   depth     (batch, height, width), +infinity where empty
//   visible   (batch, vertex_count), 0 or 1
//
// A vertex is visible when it lies inside the image, some triangle that it belongs to faces the
// viewer, and it is no further than `tolerance` behind the farthest of the four pixels around it.
// A triangle faces the viewer when (x1 - x0) (y2 - y0) - (x2 - x0) (y1 - y0) is negative: meshes
// are counter-clockwise seen from outside, and y points down.
#pragma once

#include <cstdint>

#include "common/context.h"
#include "common/macros.h"
#include "common/mesh.h"

namespace pgnface {

template <typename T>
PGNFACE_HD bool faces_viewer(const T* vertices, const std::int32_t* triangle,
                             std::int64_t vertex_count) {
  const T* v[3];
  if (!triangle_vertices(vertices, triangle, vertex_count, v)) return false;
  return (v[1][0] - v[0][0]) * (v[2][1] - v[0][1]) - (v[2][0] - v[0][0]) * (v[1][1] - v[0][1]) < 0;
}

// Whether nothing in the depth image hides a point inside it; false for a point that is not finite.
template <typename T>
PGNFACE_HD bool passes_depth(const T* vertex, const T* depth, T tolerance, std::int64_t height,
                             std::int64_t width) {
  const T x = vertex[0], y = vertex[1], z = vertex[2];
  if (!(x >= 0 && x <= T(width) && y >= 0 && y <= T(height) && z - z == 0)) return false;
  // The pixel centres to the left and above; column -1 and the one past the end have no pixel.
  const std::int64_t left = static_cast<std::int64_t>(x + T(0.5)) - 1;
  const std::int64_t top = static_cast<std::int64_t>(y + T(0.5)) - 1;
  for (std::int64_t row = top; row <= top + 1; ++row) {
    for (std::int64_t column = left; column <= left + 1; ++column) {
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      if (z <= depth[row * width + column] + tolerance) return true;
    }
  }
  return false;
}

// visible must come zeroed. A vertex index out of range throws std::out_of_range on the CPU; on
// CUDA its triangle counts for nothing.
#define PGNFACE_DECLARE(device)                                                            \
  template <typename T>                                                                    \
  void vertex_visibility_##device(const T* vertices, const std::int32_t* triangles,        \
                                  const T* depth, std::uint8_t* visible, double tolerance, \
                                  std::int64_t batch, std::int64_t vertex_count,           \
                                  std::int64_t triangle_count, std::int64_t height,        \
                                  std::int64_t width, const Context& context);
PGNFACE_DECLARE(cpu)
PGNFACE_DECLARE(cuda)
#undef PGNFACE_DECLARE

}  // namespace pgnface
