// Unit normals of a mesh's vertices, weighted by the areas of the triangles around each.
//
//   vertices  (batch, count, 3)
//   triangles (T, 3) int32, every index in [0, count)
//   offsets   (count + 1), incident (3 T): the corners 3 * triangle + corner at which vertex v
//             appears are incident[offsets[v]] ... incident[offsets[v + 1] - 1]
//   normals   (batch, count, 3): sum of (b - a) x (c - a) over the triangles (a, b, c), normalised;
//             zero where that sum is shorter than kShortest
//   inverse_lengths (batch, count): 1 / length of that sum, 0 where it is too short; kept for the
//             backward pass
//
// The CPU adds triangle by triangle, CUDA gathers over the corners of a vertex in order. Nothing is
// added atomically, and the result is the same bits on every run and for any number of threads.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/context.h"
#include "common/macros.h"
#include "common/matrix3.h"

namespace pgnface {

constexpr double kShortest = 1e-12;  // twice an area, in squared units of the vertices

template <typename T>
PGNFACE_HD Vector3<T> load_vector(const T* values, std::int64_t row) {
  return {values[3 * row], values[3 * row + 1], values[3 * row + 2]};
}

// Twice the area of a triangle, along its normal.
template <typename V>
PGNFACE_HD V area_normal(const V& a, const V& b, const V& c) {
  return cross(b - a, c - a);
}

// Turns the sum at `normal` into the unit normal and returns 1 / its length.
template <typename T>
PGNFACE_HD T normalize(T* normal) {
  const Vector3<T> sum = load_vector(normal, 0);
  const T length = std::sqrt(dot(sum, sum));
  const T inverse = length < T(kShortest) ? T(0) : 1 / length;
  for (int i = 0; i < 3; ++i) normal[i] = inverse * sum[i];
  return inverse;
}

// Gradient by the sum before it is normalised.
template <typename T>
PGNFACE_HD Vector3<T> sum_gradient(const T* grad_normal, const T* normal, T inverse_length) {
  const Vector3<T> unit = load_vector(normal, 0), grad = load_vector(grad_normal, 0);
  if (inverse_length == 0) return {};
  return inverse_length * (grad - dot(grad, unit) * unit);
}

// Gradient by the vertex at a corner, given that by the area normal, which is the sum of the
// gradients of the triangle's three corners; next and last: the other corners in cyclic order.
template <typename V>
PGNFACE_HD V corner_gradient(const V& next, const V& last, const V& area_gradient) {
  return cross(next - last, area_gradient);
}

// workspace: CUDA only, batch * triangle_count * 4 values.
#define PGNFACE_DECLARE(device)                                                                   \
  template <typename T>                                                                           \
  void vertex_normals_forward_##device(const T* vertices, const std::int32_t* triangles,          \
                                       const std::int32_t* offsets, const std::int32_t* incident, \
                                       T* normals, T* inverse_lengths, T* workspace,              \
                                       std::int64_t batch, std::int64_t count,                    \
                                       std::int64_t triangle_count, const Context& context);      \
  template <typename T>                                                                           \
  void vertex_normals_backward_##device(                                                          \
      const T* grad_normals, const T* vertices, const std::int32_t* triangles,                    \
      const std::int32_t* offsets, const std::int32_t* incident, const T* normals,                \
      const T* inverse_lengths, T* grad_vertices, T* workspace, std::int64_t batch,               \
      std::int64_t count, std::int64_t triangle_count, const Context& context);
PGNFACE_DECLARE(cpu)
PGNFACE_DECLARE(cuda)
#undef PGNFACE_DECLARE

}  // namespace pgnface
