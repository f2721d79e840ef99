#include "common/batch_index.h"
#include "common/cuda.h"
#include "vertex_normals/vertex_normals.h"

namespace pgnface {
namespace {

// A vector a triangle, padded so that one 128-bit access moves it.
__device__ float4 pack(const Vector3<float>& value) {
  return make_float4(value[0], value[1], value[2], 0.0f);
}

// What belongs to the vertices of a triangle.
struct Corners {
  Vector3<float> corner[3];

  __device__ Corners(const float* vectors, const std::int32_t* triangles, std::int64_t triangle) {
    for (int k = 0; k < 3; ++k) corner[k] = load_vector(vectors, triangles[3 * triangle + k]);
  }
  __device__ const Vector3<float>& operator[](int k) const { return corner[k]; }
};

__global__ void area_normal_kernel(const float* __restrict__ vertices,
                                   const std::int32_t* __restrict__ triangles,
                                   float4* __restrict__ area_normals, std::int64_t batch,
                                   std::int64_t count, std::int64_t triangle_count) {
  PGNFACE_GRID_LOOP(i, batch * triangle_count) {
    const auto [item, triangle] = batch_index(i, triangle_count);
    const Corners corners(vertices + 3 * item * count, triangles, triangle);
    area_normals[i] = pack(area_normal(corners[0], corners[1], corners[2]));
  }
}

__global__ void gather_normal_kernel(const float4* __restrict__ area_normals,
                                     const std::int32_t* __restrict__ offsets,
                                     const std::int32_t* __restrict__ incident,
                                     float* __restrict__ normals,
                                     float* __restrict__ inverse_lengths, std::int64_t batch,
                                     std::int64_t count, std::int64_t triangle_count) {
  PGNFACE_GRID_LOOP(i, batch * count) {
    const auto [item, v] = batch_index(i, count);
    const float4* own = area_normals + item * triangle_count;
    float sum[3] = {0, 0, 0};
    for (std::int32_t j = offsets[v]; j < offsets[v + 1]; ++j) {
      const float4 normal = own[incident[j] / 3];
      sum[0] += normal.x, sum[1] += normal.y, sum[2] += normal.z;
    }
    inverse_lengths[i] = normalize(sum);
    for (int k = 0; k < 3; ++k) normals[3 * i + k] = sum[k];
  }
}

__global__ void sum_gradient_kernel(const float* __restrict__ grad_normals,
                                    const float* __restrict__ normals,
                                    const float* __restrict__ inverse_lengths,
                                    float* __restrict__ grad_sums, std::int64_t vertices) {
  PGNFACE_GRID_LOOP(i, vertices) {
    const Vector3<float> grad =
        sum_gradient(grad_normals + 3 * i, normals + 3 * i, inverse_lengths[i]);
    for (int k = 0; k < 3; ++k) grad_sums[3 * i + k] = grad[k];
  }
}

__global__ void area_gradient_kernel(const float* __restrict__ grad_sums,
                                     const std::int32_t* __restrict__ triangles,
                                     float4* __restrict__ area_gradients, std::int64_t batch,
                                     std::int64_t count, std::int64_t triangle_count) {
  PGNFACE_GRID_LOOP(i, batch * triangle_count) {
    const auto [item, triangle] = batch_index(i, triangle_count);
    const Corners grads(grad_sums + 3 * item * count, triangles, triangle);
    area_gradients[i] = pack(grads[0] + grads[1] + grads[2]);
  }
}

__global__ void gather_gradient_kernel(const float* __restrict__ vertices,
                                       const std::int32_t* __restrict__ triangles,
                                       const std::int32_t* __restrict__ offsets,
                                       const std::int32_t* __restrict__ incident,
                                       const float4* __restrict__ area_gradients,
                                       float* __restrict__ grad_vertices, std::int64_t batch,
                                       std::int64_t count, std::int64_t triangle_count) {
  PGNFACE_GRID_LOOP(i, batch * count) {
    const auto [item, v] = batch_index(i, count);
    Vector3<float> total{};
    const float* own = vertices + 3 * item * count;
    for (std::int32_t j = offsets[v]; j < offsets[v + 1]; ++j) {
      const std::int32_t id = incident[j] / 3, corner = incident[j] - 3 * id;
      const std::int32_t* triangle = triangles + 3 * std::int64_t(id);
      const float4 grad = area_gradients[item * triangle_count + id];
      total = total + corner_gradient(load_vector(own, triangle[corner == 2 ? 0 : corner + 1]),
                                      load_vector(own, triangle[corner == 0 ? 2 : corner - 1]),
                                      {grad.x, grad.y, grad.z});
    }
    for (int k = 0; k < 3; ++k) grad_vertices[3 * i + k] = total[k];
  }
}

}  // namespace

template <typename T>
void vertex_normals_forward_cuda(const T* vertices, const std::int32_t* triangles,
                                 const std::int32_t* offsets, const std::int32_t* incident,
                                 T* normals, T* inverse_lengths, T* workspace, std::int64_t batch,
                                 std::int64_t count, std::int64_t triangle_count,
                                 const Context& context) {
  DeviceGuard guard(context);
  if (batch * count == 0) return;
  const cudaStream_t stream = stream_of(context);
  auto* area_normals = reinterpret_cast<float4*>(workspace);
  area_normal_kernel<<<grid_for(batch * triangle_count), kBlock, 0, stream>>>(
      vertices, triangles, area_normals, batch, count, triangle_count);
  gather_normal_kernel<<<grid_for(batch * count), kBlock, 0, stream>>>(
      area_normals, offsets, incident, normals, inverse_lengths, batch, count, triangle_count);
  check_cuda(cudaGetLastError(), "vertex_normals");
}

template <typename T>
void vertex_normals_backward_cuda(const T* grad_normals, const T* vertices,
                                  const std::int32_t* triangles, const std::int32_t* offsets,
                                  const std::int32_t* incident, const T* normals,
                                  const T* inverse_lengths, T* grad_vertices, T* workspace,
                                  std::int64_t batch, std::int64_t count,
                                  std::int64_t triangle_count, const Context& context) {
  DeviceGuard guard(context);
  if (batch * count == 0) return;
  const cudaStream_t stream = stream_of(context);
  auto* area_gradients = reinterpret_cast<float4*>(workspace);
  // The gradients by the sums wait where those by the vertices will be written.
  sum_gradient_kernel<<<grid_for(batch * count), kBlock, 0, stream>>>(
      grad_normals, normals, inverse_lengths, grad_vertices, batch * count);
  area_gradient_kernel<<<grid_for(batch * triangle_count), kBlock, 0, stream>>>(
      grad_vertices, triangles, area_gradients, batch, count, triangle_count);
  gather_gradient_kernel<<<grid_for(batch * count), kBlock, 0, stream>>>(
      vertices, triangles, offsets, incident, area_gradients, grad_vertices, batch, count,
      triangle_count);
  check_cuda(cudaGetLastError(), "vertex_normals backward");
}

template void vertex_normals_forward_cuda<float>(const float*, const std::int32_t*,
                                                 const std::int32_t*, const std::int32_t*, float*,
                                                 float*, float*, std::int64_t, std::int64_t,
                                                 std::int64_t, const Context&);
template void vertex_normals_backward_cuda<float>(const float*, const float*, const std::int32_t*,
                                                  const std::int32_t*, const std::int32_t*,
                                                  const float*, const float*, float*, float*,
                                                  std::int64_t, std::int64_t, std::int64_t,
                                                  const Context&);

}  // namespace pgnface
