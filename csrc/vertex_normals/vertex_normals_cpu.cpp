#include "common/parallel.h"
#include "common/scatter.h"
#include "vertex_normals/vertex_normals.h"

namespace pgnface {
namespace {

template <typename T>
void add_to(T* target, std::int32_t row, const Vector3<T>& term) {
  for (int i = 0; i < 3; ++i) target[3 * std::int64_t(row) + i] += term[i];
}

}  // namespace

template <typename T>
void vertex_normals_forward_cpu(const T* vertices, const std::int32_t* triangles,
                                const std::int32_t* /*offsets*/, const std::int32_t* /*incident*/,
                                T* normals, T* inverse_lengths, T* /*workspace*/,
                                std::int64_t batch, std::int64_t count, std::int64_t triangle_count,
                                const Context& context) {
  scatter_by_rows(
      normals, batch, 3 * count, triangle_count, context.threads,
      [&](std::int64_t item, std::int64_t begin, std::int64_t end, T* sums) {
        const T* points = vertices + 3 * item * count;
        for (const std::int32_t* t = triangles + 3 * begin; t != triangles + 3 * end; t += 3) {
          const Vector3<T> normal = area_normal(points, t);
          for (int k = 0; k < 3; ++k) add_to(sums, t[k], normal);
        }
      },
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t v = begin / 3; v < end / 3; ++v) {
          inverse_lengths[v] = normalize(normals + 3 * v);
        }
      });
}

template <typename T>
void vertex_normals_backward_cpu(const T* grad_normals, const T* vertices,
                                 const std::int32_t* triangles, const std::int32_t* /*offsets*/,
                                 const std::int32_t* /*incident*/, const T* normals,
                                 const T* inverse_lengths, T* grad_sums, T* grad_vertices,
                                 T* /*workspace*/, std::int64_t batch, std::int64_t count,
                                 std::int64_t triangle_count, const Context& context) {
  parallel_for(batch * count, 4096, context.threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t v = begin; v < end; ++v) {
      sum_gradient(grad_normals + 3 * v, normals + 3 * v, inverse_lengths[v], grad_sums + 3 * v);
    }
  });
  scatter_by_rows(
      grad_vertices, batch, 3 * count, triangle_count, context.threads,
      [&](std::int64_t item, std::int64_t begin, std::int64_t end, T* sums) {
        const T *points = vertices + 3 * item * count, *grads = grad_sums + 3 * item * count;
        for (const std::int32_t* t = triangles + 3 * begin; t != triangles + 3 * end; t += 3) {
          const Vector3<T> grad = area_gradient(grads, t);
          for (int k = 0; k < 3; ++k) add_to(sums, t[k], corner_gradient(points, t, k, grad));
        }
      });
}

#define PGNFACE_INSTANTIATE(T)                                                                     \
  template void vertex_normals_forward_cpu<T>(const T*, const std::int32_t*, const std::int32_t*,  \
                                              const std::int32_t*, T*, T*, T*, std::int64_t,       \
                                              std::int64_t, std::int64_t, const Context&);         \
  template void vertex_normals_backward_cpu<T>(                                                    \
      const T*, const T*, const std::int32_t*, const std::int32_t*, const std::int32_t*, const T*, \
      const T*, T*, T*, T*, std::int64_t, std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
