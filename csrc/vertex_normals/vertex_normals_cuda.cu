#include "common/cuda.h"
#include "vertex_normals/vertex_normals.h"

namespace pgnface {
namespace {

// The mesh with the vertices of the item that flat vertex i belongs to.
template <typename T>
__device__ MeshView<T> item_of(const MeshView<T>& mesh, std::int64_t item, std::int64_t count) {
  return {mesh.vertices + 3 * item * count, mesh.triangles, mesh.offsets, mesh.incident};
}

template <typename T>
__global__ void forward_kernel(MeshView<T> mesh, T* __restrict__ normals, std::int64_t batch,
                               std::int64_t count) {
  PGNFACE_GRID_LOOP(i, batch * count) {
    const std::int64_t item = i / count;
    vertex_normal(item_of(mesh, item, count), i - item * count, normals + 3 * i);
  }
}

template <typename T>
__global__ void area_gradient_kernel(const T* __restrict__ grad_normals, MeshView<T> mesh,
                                     T* __restrict__ grad_sums, std::int64_t batch,
                                     std::int64_t count) {
  PGNFACE_GRID_LOOP(i, batch * count) {
    const std::int64_t item = i / count;
    area_normal_gradient(item_of(mesh, item, count), i - item * count, grad_normals + 3 * i,
                         grad_sums + 3 * i);
  }
}

template <typename T>
__global__ void vertex_gradient_kernel(MeshView<T> mesh, const T* __restrict__ grad_sums,
                                       T* __restrict__ grad_vertices, std::int64_t batch,
                                       std::int64_t count) {
  PGNFACE_GRID_LOOP(i, batch * count) {
    const std::int64_t item = i / count;
    vertex_gradient(item_of(mesh, item, count), i - item * count, grad_sums + 3 * item * count,
                    grad_vertices + 3 * i);
  }
}

}  // namespace

template <typename T>
void vertex_normals_forward_cuda(const T* vertices, const std::int32_t* triangles,
                                 const std::int32_t* offsets, const std::int32_t* incident,
                                 T* normals, std::int64_t batch, std::int64_t count,
                                 const Context& context) {
  DeviceGuard guard(context);
  if (batch * count == 0) return;
  forward_kernel<<<grid_for(batch * count), kBlock, 0, stream_of(context)>>>(
      MeshView<T>{vertices, triangles, offsets, incident}, normals, batch, count);
  check_cuda(cudaGetLastError(), "vertex_normals");
}

template <typename T>
void vertex_normals_backward_cuda(const T* grad_normals, const T* vertices,
                                  const std::int32_t* triangles, const std::int32_t* offsets,
                                  const std::int32_t* incident, T* grad_sums, T* grad_vertices,
                                  std::int64_t batch, std::int64_t count, const Context& context) {
  DeviceGuard guard(context);
  if (batch * count == 0) return;
  const MeshView<T> mesh{vertices, triangles, offsets, incident};
  const cudaStream_t stream = stream_of(context);
  area_gradient_kernel<<<grid_for(batch * count), kBlock, 0, stream>>>(grad_normals, mesh,
                                                                       grad_sums, batch, count);
  vertex_gradient_kernel<<<grid_for(batch * count), kBlock, 0, stream>>>(
      mesh, grad_sums, grad_vertices, batch, count);
  check_cuda(cudaGetLastError(), "vertex_normals backward");
}

template void vertex_normals_forward_cuda<float>(const float*, const std::int32_t*,
                                                 const std::int32_t*, const std::int32_t*, float*,
                                                 std::int64_t, std::int64_t, const Context&);
template void vertex_normals_backward_cuda<float>(const float*, const float*, const std::int32_t*,
                                                  const std::int32_t*, const std::int32_t*, float*,
                                                  float*, std::int64_t, std::int64_t,
                                                  const Context&);

}  // namespace pgnface
