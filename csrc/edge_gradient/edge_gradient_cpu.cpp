#include <utility>
#include <vector>

#include "common/mesh.h"
#include "common/prefetch.h"
#include "common/scatter.h"
#include "common/simd.h"
#include "edge_gradient/edge_gradient.h"

namespace pgnface {
namespace {

// The surfaces of a row of pixels, in arrays that vector instructions read.
template <typename T>
struct Row {
  explicit Row(std::int64_t width) : ids(width), depths(width), slopes_x(width), slopes_y(width) {}

  void fill(const T* vertices, const std::int32_t* triangles, const std::int32_t* triangle_ids,
            const T* depth, std::int64_t vertex_count, std::int64_t triangle_count) {
    const auto width = static_cast<std::int64_t>(ids.size());
    for (std::int64_t x = 0; x < width; ++x) {
      prefetch_ahead(
          x, width, triangle_ids, triangles, triangle_count,
          [=](std::int64_t, std::int64_t) { prefetch(depth + x + 96); },
          [=](const std::int32_t* triangle) {
            for (int k = 0; k < 3; ++k) prefetch(vertices + 3 * std::int64_t(triangle[k]));
          });
      const Surface<T> surface =
          surface_at(vertices, triangles, triangle_ids[x], depth[x], vertex_count, triangle_count);
      ids[x] = surface.id;
      depths[x] = surface.z;
      slopes_x[x] = surface.slope_x;
      slopes_y[x] = surface.slope_y;
    }
  }

  std::vector<std::int32_t> ids;
  std::vector<T> depths, slopes_x, slopes_y;
};

template <typename T>
PGNFACE_CLONES void find_nearer(const std::int32_t* ids, const std::int32_t* next_ids,
                                const T* depths, const T* next_depths, const T* slopes,
                                const T* next_slopes, std::int64_t count, std::int32_t* nearer) {
#pragma omp simd
  for (std::int64_t x = 0; x < count; ++x) {
    nearer[x] =
        nearer_of(ids[x], next_ids[x], depths[x], next_depths[x], slopes[x], next_slopes[x]);
  }
}

}  // namespace

template <typename T>
void edge_gradient_backward_cpu(const T* grad_image, const T* image, const T* vertices,
                                const std::int32_t* triangles, const std::int32_t* triangle_ids,
                                const T* barycentrics, const T* depth, T* grad_vertices,
                                std::int64_t* /*workspace*/, std::int64_t batch,
                                std::int64_t vertex_count, std::int64_t triangle_count,
                                std::int64_t height, std::int64_t width, std::int64_t channels,
                                const Context& context) {
  require_vertex_indices("edge_gradient", triangles, triangle_count, vertex_count);
  scatter_in_bands(
      grad_vertices, batch, vertex_count * 3, height, context.threads,
      [&](std::int64_t n, std::int64_t row_begin, std::int64_t row_end, T* target) {
        if (row_begin == row_end || width == 0) return;
        Row<T> row(width), below(width);
        std::vector<std::int32_t> nearer(width);
        const auto fill = [&](Row<T>& surfaces, std::int64_t y) {
          const std::int64_t start = (n * height + y) * width;
          surfaces.fill(vertices + n * vertex_count * 3, triangles, triangle_ids + start,
                        depth + start, vertex_count, triangle_count);
        };
        // Boundaries between pixels start + x and start + x + step, where there is one.
        const auto scatter = [&](const Row<T>& next, std::int64_t shift, std::int64_t start,
                                 std::int64_t step, std::int64_t count, int axis) {
          for (std::int64_t x = 0; x < count; ++x) {
            if (nearer[x] == 0) continue;
            const bool first = nearer[x] == 1;
            const std::int32_t id = first ? row.ids[x] : next.ids[x + shift];
            const std::int64_t a = start + x, b = a + step;
            boundary_backward(triangles + 3 * std::int64_t(id), first ? a : b, axis, a, b,
                              grad_image, image, barycentrics, channels,
                              [=](std::int64_t i, T value) { target[i] += value; });
          }
        };
        fill(below, row_begin);
        for (std::int64_t y = row_begin; y < row_end; ++y) {
          std::swap(row, below);
          const std::int64_t start = (n * height + y) * width;
          find_nearer(row.ids.data(), row.ids.data() + 1, row.depths.data(), row.depths.data() + 1,
                      row.slopes_x.data(), row.slopes_x.data() + 1, width - 1, nearer.data());
          scatter(row, 1, start, 1, width - 1, 0);
          if (y + 1 == height) break;
          fill(below, y + 1);
          find_nearer(row.ids.data(), below.ids.data(), row.depths.data(), below.depths.data(),
                      row.slopes_y.data(), below.slopes_y.data(), width, nearer.data());
          scatter(below, 0, start, width, width, 1);
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
