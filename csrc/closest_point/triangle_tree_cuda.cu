#include "closest_point/triangle_tree.h"
#include "common/batch_index.h"
#include "common/cuda.h"

namespace pgnface {
namespace {

__global__ void codes_kernel(const float* vertices, const std::int32_t* triangles,
                             const float* bounds, std::int32_t* codes, std::int64_t batch,
                             std::int64_t vertex_count, std::int64_t triangle_count) {
  PGNFACE_GRID_LOOP(i, batch * triangle_count) {
    const auto [n, id] = batch_index(i, triangle_count);
    codes[i] = triangle_code(vertices + n * vertex_count * 3, triangles + 3 * id, vertex_count,
                             bounds + 4 * n);
  }
}

__global__ void leaves_kernel(const float* vertices, const std::int32_t* triangles,
                              TriangleTree<float> trees, std::int64_t batch,
                              std::int64_t vertex_count) {
  PGNFACE_GRID_LOOP(i, batch * trees.leaves) {
    const auto [n, leaf] = batch_index(i, trees.leaves);
    fill_leaf(vertices + n * vertex_count * 3, triangles, vertex_count, trees.of(n), leaf);
  }
}

// Inner nodes from `begin` on, which are all on one level.
__global__ void inner_kernel(TriangleTree<float> trees, std::int64_t batch, std::int64_t begin,
                             std::int64_t count) {
  PGNFACE_GRID_LOOP(i, batch * count) {
    const auto [n, place] = batch_index(i, count);
    fill_inner(trees.of(n), begin + place);
  }
}

}  // namespace

template <typename T>
void triangle_codes_cuda(const T* vertices, const std::int32_t* triangles, const T* bounds,
                         std::int32_t* codes, std::int64_t batch, std::int64_t vertex_count,
                         std::int64_t triangle_count, const Context& context) {
  DeviceGuard guard(context);
  if (batch * triangle_count == 0) return;
  codes_kernel<<<grid_for(batch * triangle_count), kBlock, 0, stream_of(context)>>>(
      vertices, triangles, bounds, codes, batch, vertex_count, triangle_count);
  check_cuda(cudaGetLastError(), "closest_point");
}

template <typename T>
void triangle_discs_cuda(const T* vertices, const std::int32_t* triangles,
                         const std::int32_t* order, T* corners, T* discs, std::int64_t batch,
                         std::int64_t vertex_count, std::int64_t triangle_count,
                         const Context& context) {
  DeviceGuard guard(context);
  if (batch * triangle_count == 0) return;
  const TriangleTree<T> trees(triangle_count, order, corners, discs);
  leaves_kernel<<<grid_for(batch * trees.leaves), kBlock, 0, stream_of(context)>>>(
      vertices, triangles, trees, batch, vertex_count);
  std::int64_t begin = 0;  // of the last level of inner nodes
  while (begin * kWidth + 1 < trees.inner) begin = begin * kWidth + 1;
  for (std::int64_t end = trees.inner; end > 0; end = begin, begin = (begin - 1) / kWidth) {
    inner_kernel<<<grid_for(batch * (end - begin)), kBlock, 0, stream_of(context)>>>(
        trees, batch, begin, end - begin);
  }
  check_cuda(cudaGetLastError(), "closest_point");
}

template void triangle_codes_cuda<float>(const float*, const std::int32_t*, const float*,
                                         std::int32_t*, std::int64_t, std::int64_t, std::int64_t,
                                         const Context&);
template void triangle_discs_cuda<float>(const float*, const std::int32_t*, const std::int32_t*,
                                         float*, float*, std::int64_t, std::int64_t, std::int64_t,
                                         const Context&);

}  // namespace pgnface
