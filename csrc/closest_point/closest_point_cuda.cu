#include "closest_point/closest_point.h"
#include "common/batch_index.h"
#include "common/cuda.h"
#include "common/scatter.cuh"

namespace pgnface {
namespace {

__global__ void forward_kernel(const float* points, const float* vertices,
                               const std::int32_t* triangles, TriangleTree<const float> trees,
                               float* distances, float* closest, std::int32_t* triangle_ids,
                               float* barycentrics, std::int64_t batch, std::int64_t count,
                               std::int64_t vertex_count) {
  PGNFACE_GRID_LOOP(i, batch * count) {
    const std::int64_t n = batch_index(i, count).item;
    Nearest<float> nearest;
    if (trees.triangle_count > 0 && is_usable(points + 3 * i)) {
      const TriangleTree<const float> tree = trees.of(n);
      search<float>(tree, load_point<float>(points + 3 * i), rounding_of(tree), nearest);
    }
    triangle_ids[i] = nearest.id;
    write_closest(points + 3 * i, vertices + n * vertex_count * 3, triangles, vertex_count,
                  nearest.id, distances + i, closest + 3 * i, barycentrics + 3 * i);
  }
}

struct Backward {
  const float *grad_distances, *grad_closest, *grad_barycentrics, *points, *vertices;
  const std::int32_t *triangles, *triangle_ids;
  const float* barycentrics;
  float* grad_points;
  std::int64_t count, vertex_count, triangle_count;

  template <typename Add>
  __device__ void operator()(std::int64_t i, const Add& add) const {
    const std::int64_t offset = batch_index(i, count).item * vertex_count * 3;
    closest_point_backward(grad_distances[i], grad_closest + 3 * i, grad_barycentrics + 3 * i,
                           points + 3 * i, vertices + offset, triangles, triangle_ids[i],
                           barycentrics + 3 * i, grad_points ? grad_points + 3 * i : nullptr,
                           vertex_count, triangle_count,
                           [&](std::int64_t k, float term) { add(offset + k, term); });
  }
};

// For a caller that wants the gradient by the points alone.
__global__ void points_kernel(std::int64_t items, Backward backward) {
  PGNFACE_GRID_LOOP(i, items) {
    backward(i, [](std::int64_t, float) {});
  }
}

}  // namespace

template <typename T>
void closest_point_forward_cuda(const T* points, const T* vertices, const std::int32_t* triangles,
                                const std::int32_t* order, const T* corners, const T* discs,
                                T* distances, T* closest, std::int32_t* triangle_ids,
                                T* barycentrics, std::int64_t batch, std::int64_t count,
                                std::int64_t vertex_count, std::int64_t triangle_count,
                                const Context& context) {
  DeviceGuard guard(context);
  if (batch * count == 0) return;
  forward_kernel<<<grid_for(batch * count), kBlock, 0, stream_of(context)>>>(
      points, vertices, triangles, TriangleTree<const T>(triangle_count, order, corners, discs),
      distances, closest, triangle_ids, barycentrics, batch, count, vertex_count);
  check_cuda(cudaGetLastError(), "closest_point");
}

template <typename T>
void closest_point_backward_cuda(const T* grad_distances, const T* grad_closest,
                                 const T* grad_barycentrics, const T* points, const T* vertices,
                                 const std::int32_t* triangles, const std::int32_t* triangle_ids,
                                 const T* barycentrics, T* grad_points, T* grad_vertices,
                                 std::int64_t* workspace, std::int64_t batch, std::int64_t count,
                                 std::int64_t vertex_count, std::int64_t triangle_count,
                                 const Context& context) {
  DeviceGuard guard(context);
  const std::int64_t items = batch * count;
  const Backward backward{grad_distances, grad_closest, grad_barycentrics, points,
                          vertices,       triangles,    triangle_ids,      barycentrics,
                          grad_points,    count,        vertex_count,      triangle_count};
  if (grad_vertices != nullptr) {
    scatter_add(items, backward, grad_vertices, batch * vertex_count * 3, workspace, context);
  } else if (items > 0) {
    points_kernel<<<grid_for(items), kBlock, 0, stream_of(context)>>>(items, backward);
    check_cuda(cudaGetLastError(), "closest_point backward");
  }
}

template void closest_point_forward_cuda<float>(const float*, const float*, const std::int32_t*,
                                                const std::int32_t*, const float*, const float*,
                                                float*, float*, std::int32_t*, float*, std::int64_t,
                                                std::int64_t, std::int64_t, std::int64_t,
                                                const Context&);
template void closest_point_backward_cuda<float>(const float*, const float*, const float*,
                                                 const float*, const float*, const std::int32_t*,
                                                 const std::int32_t*, const float*, float*, float*,
                                                 std::int64_t*, std::int64_t, std::int64_t,
                                                 std::int64_t, std::int64_t, const Context&);

}  // namespace pgnface
