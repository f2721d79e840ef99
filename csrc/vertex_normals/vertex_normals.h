// Unit normals of a mesh's vertices, weighted by the areas of the triangles around each.
//
//   vertices  (batch, count, 3)
//   triangles (T, 3) int32, every index in [0, count)
//   offsets   (count + 1), incident (3 T): the corners 3 * triangle + corner at which vertex v
//             appears are incident[offsets[v]] ... incident[offsets[v + 1] - 1]
//   normals   (batch, count, 3): sum of (b - a) x (c - a) over the triangles (a, b, c), normalised;
//             zero where that sum is shorter than kShortest
//
// Both directions gather over the corners of a vertex in order, so nothing is added atomically and
// the result is the same bits on every run and for any number of threads.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/context.h"
#include "common/macros.h"
#include "common/matrix3.h"

namespace pgnface {

constexpr double kShortest = 1e-12;  // twice an area, in squared units of the vertices

// Topology of a mesh and the vertices of one item.
template <typename T>
struct MeshView {
  const T* vertices;
  const std::int32_t *triangles, *offsets, *incident;

  PGNFACE_HD Vector3<T> vertex(std::int64_t v) const {
    return {vertices[3 * v], vertices[3 * v + 1], vertices[3 * v + 2]};
  }
};

template <typename T>
PGNFACE_HD Vector3<T> area_normal(const MeshView<T>& mesh, std::int64_t v) {
  Vector3<T> sum{};
  for (std::int32_t i = mesh.offsets[v]; i < mesh.offsets[v + 1]; ++i) {
    const std::int32_t* triangle = mesh.triangles + 3 * std::int64_t(mesh.incident[i] / 3);
    const Vector3<T> a = mesh.vertex(triangle[0]);
    sum = sum + cross(mesh.vertex(triangle[1]) - a, mesh.vertex(triangle[2]) - a);
  }
  return sum;
}

template <typename T>
PGNFACE_HD void vertex_normal(const MeshView<T>& mesh, std::int64_t v, T* normal) {
  const Vector3<T> sum = area_normal(mesh, v);
  const T length = std::sqrt(dot(sum, sum));
  for (int i = 0; i < 3; ++i) normal[i] = length < T(kShortest) ? T(0) : sum[i] / length;
}

// Gradient by the sum before it is normalised.
template <typename T>
PGNFACE_HD void area_normal_gradient(const MeshView<T>& mesh, std::int64_t v, const T* grad_normal,
                                     T* grad_sum) {
  const Vector3<T> sum = area_normal(mesh, v);
  const T length = std::sqrt(dot(sum, sum));
  const Vector3<T> unit = (1 / length) * sum;
  const Vector3<T> grad{grad_normal[0], grad_normal[1], grad_normal[2]};
  const Vector3<T> along = dot(grad, unit) * unit;
  for (int i = 0; i < 3; ++i) {
    grad_sum[i] = length < T(kShortest) ? T(0) : (grad[i] - along[i]) / length;
  }
}

// Gradient by one vertex: for a triangle (a, b, c), (b - c) x g with g the sum of the gradients of
// its three corners, and the other corners in cyclic order.
template <typename T>
PGNFACE_HD void vertex_gradient(const MeshView<T>& mesh, std::int64_t v, const T* grad_sums,
                                T* grad_vertex) {
  const MeshView<T> grads{grad_sums, nullptr, nullptr, nullptr};
  Vector3<T> total{};
  for (std::int32_t i = mesh.offsets[v]; i < mesh.offsets[v + 1]; ++i) {
    const std::int32_t corner = mesh.incident[i] % 3;
    const std::int32_t* triangle = mesh.triangles + 3 * std::int64_t(mesh.incident[i] / 3);
    const Vector3<T> grad =
        grads.vertex(triangle[0]) + grads.vertex(triangle[1]) + grads.vertex(triangle[2]);
    const Vector3<T> edge =
        mesh.vertex(triangle[(corner + 1) % 3]) - mesh.vertex(triangle[(corner + 2) % 3]);
    total = total + cross(edge, grad);
  }
  for (int i = 0; i < 3; ++i) grad_vertex[i] = total[i];
}

template <typename T>
void vertex_normals_forward_cpu(const T* vertices, const std::int32_t* triangles,
                                const std::int32_t* offsets, const std::int32_t* incident,
                                T* normals, std::int64_t batch, std::int64_t count,
                                const Context& context);

// grad_sums is scratch like vertices.
template <typename T>
void vertex_normals_backward_cpu(const T* grad_normals, const T* vertices,
                                 const std::int32_t* triangles, const std::int32_t* offsets,
                                 const std::int32_t* incident, T* grad_sums, T* grad_vertices,
                                 std::int64_t batch, std::int64_t count, const Context& context);

template <typename T>
void vertex_normals_forward_cuda(const T* vertices, const std::int32_t* triangles,
                                 const std::int32_t* offsets, const std::int32_t* incident,
                                 T* normals, std::int64_t batch, std::int64_t count,
                                 const Context& context);

template <typename T>
void vertex_normals_backward_cuda(const T* grad_normals, const T* vertices,
                                  const std::int32_t* triangles, const std::int32_t* offsets,
                                  const std::int32_t* incident, T* grad_sums, T* grad_vertices,
                                  std::int64_t batch, std::int64_t count, const Context& context);

}  // namespace pgnface
