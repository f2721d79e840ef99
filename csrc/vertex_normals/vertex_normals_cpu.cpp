#include "common/parallel.h"
#include "vertex_normals/vertex_normals.h"

namespace pgnface {
namespace {

constexpr std::int64_t kVertices = 512;  // a chunk

// body(mesh of the item, vertex, offset of the vertex's coordinates) for all vertices of all items.
template <typename T, typename Body>
void for_each_vertex(const T* vertices, const std::int32_t* triangles, const std::int32_t* offsets,
                     const std::int32_t* incident, std::int64_t batch, std::int64_t count,
                     const Context& context, Body body) {
  parallel_for(
      batch * count, kVertices, context.threads, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t item = i / count;
          const MeshView<T> mesh{vertices + 3 * item * count, triangles, offsets, incident};
          body(mesh, i - item * count, item);
        }
      });
}

}  // namespace

template <typename T>
void vertex_normals_forward_cpu(const T* vertices, const std::int32_t* triangles,
                                const std::int32_t* offsets, const std::int32_t* incident,
                                T* normals, std::int64_t batch, std::int64_t count,
                                const Context& context) {
  for_each_vertex(vertices, triangles, offsets, incident, batch, count, context,
                  [=](const MeshView<T>& mesh, std::int64_t v, std::int64_t item) {
                    vertex_normal(mesh, v, normals + 3 * (item * count + v));
                  });
}

template <typename T>
void vertex_normals_backward_cpu(const T* grad_normals, const T* vertices,
                                 const std::int32_t* triangles, const std::int32_t* offsets,
                                 const std::int32_t* incident, T* grad_sums, T* grad_vertices,
                                 std::int64_t batch, std::int64_t count, const Context& context) {
  for_each_vertex(vertices, triangles, offsets, incident, batch, count, context,
                  [=](const MeshView<T>& mesh, std::int64_t v, std::int64_t item) {
                    const std::int64_t i = 3 * (item * count + v);
                    area_normal_gradient(mesh, v, grad_normals + i, grad_sums + i);
                  });
  for_each_vertex(vertices, triangles, offsets, incident, batch, count, context,
                  [=](const MeshView<T>& mesh, std::int64_t v, std::int64_t item) {
                    vertex_gradient(mesh, v, grad_sums + 3 * item * count,
                                    grad_vertices + 3 * (item * count + v));
                  });
}

#define PGNFACE_INSTANTIATE(T)                                                                     \
  template void vertex_normals_forward_cpu<T>(const T*, const std::int32_t*, const std::int32_t*,  \
                                              const std::int32_t*, T*, std::int64_t, std::int64_t, \
                                              const Context&);                                     \
  template void vertex_normals_backward_cpu<T>(const T*, const T*, const std::int32_t*,            \
                                               const std::int32_t*, const std::int32_t*, T*, T*,   \
                                               std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
