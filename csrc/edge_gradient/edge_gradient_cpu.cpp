#include <utility>
#include <vector>

#include "common/mesh.h"
#include "common/scatter.h"
#include "edge_gradient/edge_gradient.h"

namespace pgnface {

template <typename T>
void edge_gradient_backward_cpu(const T* grad_image, const T* image, const T* vertices,
                                const std::int32_t* triangles, const std::int32_t* triangle_ids,
                                const T* barycentrics, const T* depth, T* grad_vertices,
                                std::int64_t* /*workspace*/, std::int64_t batch,
                                std::int64_t vertex_count, std::int64_t triangle_count,
                                std::int64_t height, std::int64_t width, std::int64_t channels,
                                const Context& context) {
  require_vertex_indices("edge_gradient", triangles, triangle_count, vertex_count);
  scatter_by_rows(
      grad_vertices, batch, vertex_count * 3, height, context.threads,
      [&](std::int64_t n, std::int64_t row_begin, std::int64_t row_end, T* target) {
        const auto add = [target](std::int64_t i, T value) { target[i] += value; };
        const auto fill = [&](std::int64_t row, std::vector<Surface<T>>& surfaces) {
          for (std::int64_t x = 0; x < width; ++x) {
            const std::int64_t pixel = (n * height + row) * width + x;
            surfaces[x] =
                surface_at(vertices + n * vertex_count * 3, triangles, triangle_ids[pixel],
                           depth[pixel], vertex_count, triangle_count);
          }
        };
        std::vector<Surface<T>> row(width), below(width);
        if (row_begin < row_end) fill(row_begin, below);
        for (std::int64_t y = row_begin; y < row_end; ++y) {
          std::swap(row, below);
          const std::int64_t start = (n * height + y) * width;
          for (std::int64_t x = 0; x + 1 < width; ++x) {
            const Surface<T>&a = row[x], &b = row[x + 1];
            boundary_backward(a, b, hides(a, b, a.slope_x, b.slope_x), 0, start + x, start + x + 1,
                              grad_image, image, barycentrics, channels, add);
          }
          if (y + 1 == height) break;
          fill(y + 1, below);
          for (std::int64_t x = 0; x < width; ++x) {
            const Surface<T>&a = row[x], &b = below[x];
            boundary_backward(a, b, hides(a, b, a.slope_y, b.slope_y), 1, start + x,
                              start + x + width, grad_image, image, barycentrics, channels, add);
          }
        }
      });
}

#define PGNFACE_INSTANTIATE(T)                                                                    \
  template void edge_gradient_backward_cpu<T>(                                                    \
      const T*, const T*, const T*, const std::int32_t*, const std::int32_t*, const T*, const T*, \
      T*, std::int64_t*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,    \
      std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
