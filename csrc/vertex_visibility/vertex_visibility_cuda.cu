#include "common/batch_index.h"
#include "common/cuda.h"
#include "vertex_visibility/vertex_visibility.h"

namespace pgnface {
namespace {

// Marks the vertices of triangles that face the viewer; all writers of a byte write the same.
__global__ void facing_kernel(const float* vertices, const std::int32_t* triangles,
                              std::uint8_t* visible, std::int64_t batch, std::int64_t vertex_count,
                              std::int64_t triangle_count) {
  PGNFACE_GRID_LOOP(i, batch * triangle_count) {
    const auto [n, id] = batch_index(i, triangle_count);
    const std::int32_t* triangle = triangles + 3 * id;
    if (!faces_viewer(vertices + n * vertex_count * 3, triangle, vertex_count)) continue;
    for (int k = 0; k < 3; ++k) visible[n * vertex_count + triangle[k]] = 1;
  }
}

__global__ void depth_kernel(const float* vertices, const float* depth, std::uint8_t* visible,
                             float tolerance, std::int64_t batch, std::int64_t vertex_count,
                             std::int64_t height, std::int64_t width) {
  PGNFACE_GRID_LOOP(i, batch * vertex_count) {
    visible[i] =
        visible[i] &&
        passes_depth(vertices + 3 * i, depth + batch_index(i, vertex_count).item * height * width,
                     tolerance, height, width);
  }
}

}  // namespace

template <typename T>
void vertex_visibility_cuda(const T* vertices, const std::int32_t* triangles, const T* depth,
                            std::uint8_t* visible, double tolerance, std::int64_t batch,
                            std::int64_t vertex_count, std::int64_t triangle_count,
                            std::int64_t height, std::int64_t width, const Context& context) {
  DeviceGuard guard(context);
  if (batch * vertex_count == 0) return;
  if (triangle_count > 0) {
    facing_kernel<<<grid_for(batch * triangle_count), kBlock, 0, stream_of(context)>>>(
        vertices, triangles, visible, batch, vertex_count, triangle_count);
  }
  depth_kernel<<<grid_for(batch * vertex_count), kBlock, 0, stream_of(context)>>>(
      vertices, depth, visible, static_cast<T>(tolerance), batch, vertex_count, height, width);
  check_cuda(cudaGetLastError(), "vertex_visibility");
}

template void vertex_visibility_cuda<float>(const float*, const std::int32_t*, const float*,
                                            std::uint8_t*, double, std::int64_t, std::int64_t,
                                            std::int64_t, std::int64_t, std::int64_t,
                                            const Context&);

}  // namespace pgnface
