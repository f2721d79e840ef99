// Access to triangle meshes.
#pragma once

#include <cstdint>

#include "common/macros.h"

namespace pgnface {

// Vertex pointers of one triangle, (x, y, z) each; false when an index is out of range.
template <typename T>
PGNFACE_HD bool triangle_vertices(const T* vertices, const std::int32_t* triangle,
                                  std::int64_t vertex_count, const T* corners[3]) {
  for (int k = 0; k < 3; ++k) {
    if (triangle[k] < 0 || triangle[k] >= vertex_count) return false;
    corners[k] = vertices + 3 * std::int64_t(triangle[k]);
  }
  return true;
}

// Throws std::out_of_range, an IndexError in Python, when a triangle names no vertex.
void require_vertex_indices(const char* op, const std::int32_t* triangles,
                            std::int64_t triangle_count, std::int64_t vertex_count);

}  // namespace pgnface
