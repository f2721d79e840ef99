#include <algorithm>

#include "closest_point/closest_point.h"
#include "common/parallel.h"
#include "common/scatter.h"
#include "common/simd.h"

namespace pgnface {
namespace {

// The nearest triangles of points [begin, end), which begin with the triangle of the point before.
template <typename T>
PGNFACE_CLONES void find_triangles(const TriangleTree<const T>& tree, const T* points,
                                   const T* vertices, const std::int32_t* triangles,
                                   std::int64_t vertex_count, std::int64_t begin, std::int64_t end,
                                   std::int32_t* triangle_ids) {
  const T rounding = rounding_of(tree);
  std::int32_t last = -1;
  for (std::int64_t i = begin; i < end; ++i) {
    triangle_ids[i] = -1;
    if (!is_usable(points + 3 * i)) continue;
    const Vector3<T> p = load_point<T>(points + 3 * i);
    Nearest<T> nearest;
    const T* corners[3];
    int place[3];
    if (last >= 0 && sorted_corners(vertices, triangles + 3 * std::int64_t(last), vertex_count,
                                    corners, place)) {
      nearest.offer(nearest_in_triangle(p, load_point<T>(corners[0]), load_point<T>(corners[1]),
                                        load_point<T>(corners[2]))
                        .square,
                    last);
    }
    search<Lanes<T>>(tree, p, rounding, nearest);
    triangle_ids[i] = last = nearest.id;
  }
}

}  // namespace

template <typename T>
void closest_point_forward_cpu(const T* points, const T* vertices, const std::int32_t* triangles,
                               const std::int32_t* order, const T* corners, const T* discs,
                               T* distances, T* closest, std::int32_t* triangle_ids,
                               T* barycentrics, std::int64_t batch, std::int64_t count,
                               std::int64_t vertex_count, std::int64_t triangle_count,
                               const Context& context) {
  const TriangleTree<const T> trees(triangle_count, order, corners, discs);
  const std::int64_t chunk = 512, chunks = ceil_div(count, chunk);
  parallel_for(batch * chunks, 1, context.threads, [&](std::int64_t item, std::int64_t) {
    const std::int64_t n = item / chunks, begin = n * count + item % chunks * chunk;
    const std::int64_t end = std::min(begin + chunk, (n + 1) * count);
    const T* own = vertices + n * vertex_count * 3;
    if (triangle_count > 0) {
      find_triangles(trees.of(n), points, own, triangles, vertex_count, begin, end, triangle_ids);
    } else {
      std::fill(triangle_ids + begin, triangle_ids + end, -1);
    }
    for (std::int64_t i = begin; i < end; ++i) {
      write_closest(points + 3 * i, own, triangles, vertex_count, triangle_ids[i], distances + i,
                    closest + 3 * i, barycentrics + 3 * i);
    }
  });
}

template <typename T>
void closest_point_backward_cpu(const T* grad_distances, const T* grad_closest,
                                const T* grad_barycentrics, const T* points, const T* vertices,
                                const std::int32_t* triangles, const std::int32_t* triangle_ids,
                                const T* barycentrics, T* grad_points, T* grad_vertices,
                                std::int64_t* /*workspace*/, std::int64_t batch, std::int64_t count,
                                std::int64_t vertex_count, std::int64_t triangle_count,
                                const Context& context) {
  scatter_in_bands(
      grad_vertices, batch, grad_vertices ? vertex_count * 3 : 0, count, context.threads,
      [&](std::int64_t n, std::int64_t begin, std::int64_t end, T* target) {
        for (std::int64_t i = n * count + begin; i < n * count + end; ++i) {
          closest_point_backward(grad_distances[i], grad_closest + 3 * i, grad_barycentrics + 3 * i,
                                 points + 3 * i, vertices + n * vertex_count * 3, triangles,
                                 triangle_ids[i], barycentrics + 3 * i,
                                 grad_points ? grad_points + 3 * i : nullptr, vertex_count,
                                 triangle_count, [=](std::int64_t offset, T term) {
                                   if (grad_vertices) target[offset] += term;
                                 });
        }
      });
}

#define PGNFACE_INSTANTIATE(T)                                                                    \
  template void closest_point_forward_cpu<T>(                                                     \
      const T*, const T*, const std::int32_t*, const std::int32_t*, const T*, const T*, T*, T*,   \
      std::int32_t*, T*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, const Context&); \
  template void closest_point_backward_cpu<T>(const T*, const T*, const T*, const T*, const T*,   \
                                              const std::int32_t*, const std::int32_t*, const T*, \
                                              T*, T*, std::int64_t*, std::int64_t, std::int64_t,  \
                                              std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
