// Access to triangle meshes.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

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
inline void require_vertex_indices(const char* op, const std::int32_t* triangles,
                                   std::int64_t triangle_count, std::int64_t vertex_count) {
  std::int32_t low = 0, high = -1;
  for (std::int64_t i = 0; i < 3 * triangle_count; ++i) {
    low = triangles[i] < low ? triangles[i] : low;
    high = triangles[i] > high ? triangles[i] : high;
  }
  if (low >= 0 && high < vertex_count) return;
  throw std::out_of_range(std::string(op) + ": triangles must hold vertex indices from 0 to " +
                          std::to_string(vertex_count - 1) + ", got " +
                          std::to_string(low < 0 ? low : high));
}

}  // namespace pgnface
