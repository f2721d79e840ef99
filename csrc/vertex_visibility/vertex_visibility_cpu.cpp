#include "common/parallel.h"
#include "vertex_visibility/vertex_visibility.h"

namespace pgnface {

template <typename T>
void vertex_visibility_cpu(const T* vertices, const std::int32_t* triangles, const T* depth,
                           std::uint8_t* visible, double tolerance, std::int64_t batch,
                           std::int64_t vertex_count, std::int64_t triangle_count,
                           std::int64_t height, std::int64_t width, const Context& context) {
  require_vertex_indices("vertex_visibility", triangles, triangle_count, vertex_count);
  // One chunk an image: triangles mark shared vertices.
  parallel_for(batch, 1, context.threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const T* points = vertices + n * vertex_count * 3;
      std::uint8_t* seen = visible + n * vertex_count;
      for (std::int64_t t = 0; t < triangle_count; ++t) {
        const std::int32_t* triangle = triangles + 3 * t;
        if (!faces_viewer(points, triangle, vertex_count)) continue;
        for (int k = 0; k < 3; ++k) seen[triangle[k]] = 1;
      }
      for (std::int64_t v = 0; v < vertex_count; ++v) {
        seen[v] = seen[v] && passes_depth(points + 3 * v, depth + n * height * width, T(tolerance),
                                          height, width);
      }
    }
  });
}

#define PGNFACE_INSTANTIATE(T)                                                                   \
  template void vertex_visibility_cpu<T>(const T*, const std::int32_t*, const T*, std::uint8_t*, \
                                         double, std::int64_t, std::int64_t, std::int64_t,       \
                                         std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
