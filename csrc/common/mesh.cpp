#include "common/mesh.h"

#include <stdexcept>
#include <string>

#include "common/simd.h"

namespace pgnface {
namespace {

PGNFACE_CLONES void find_bounds(const std::int32_t* values, std::int64_t count,
                                std::int32_t* bounds) {
  std::int32_t low = 0, high = -1;
#pragma omp simd reduction(min : low) reduction(max : high)
  for (std::int64_t i = 0; i < count; ++i) {
    low = values[i] < low ? values[i] : low;
    high = values[i] > high ? values[i] : high;
  }
  bounds[0] = low;
  bounds[1] = high;
}

}  // namespace

void require_vertex_indices(const char* op, const std::int32_t* triangles,
                            std::int64_t triangle_count, std::int64_t vertex_count) {
  std::int32_t bounds[2];
  find_bounds(triangles, 3 * triangle_count, bounds);
  if (bounds[0] >= 0 && bounds[1] < vertex_count) return;
  throw std::out_of_range(std::string(op) + ": triangles must hold vertex indices from 0 to " +
                          std::to_string(vertex_count - 1) + ", got " +
                          std::to_string(bounds[0] < 0 ? bounds[0] : bounds[1]));
}

}  // namespace pgnface
