// Vertex attributes at the pixels of a rasterized mesh.
//
//   attributes   (batch, vertex_count, channels)
//   triangles    (triangle_count, 3) int32
//   triangle_ids (batch, height, width) int32, -1 where empty
//   barycentrics (batch, height, width, 2), weights of vertices 0 and 1
//   values       (batch, height, width, channels): b0 a0 + b1 a1 + (1 - b0 - b1) a2; 0 where empty
//
// Attributes shared by all images are a batch of one image with all rows. An id that names no
// triangle counts as empty. A vertex index out of range throws std::out_of_range on the CPU and
// counts as empty on CUDA.
#pragma once

#include <cstdint>

#include "common/context.h"
#include "common/macros.h"

namespace pgnface {

// Offsets of a pixel's three attribute rows; false where the pixel is empty.
PGNFACE_HD bool attribute_rows(const std::int32_t* triangles, std::int32_t id,
                               std::int64_t triangle_count, std::int64_t vertex_count,
                               std::int64_t channels, std::int64_t rows[3]) {
  if (id < 0 || id >= triangle_count) return false;
  for (int k = 0; k < 3; ++k) {
    const std::int32_t vertex = triangles[3 * std::int64_t(id) + k];
    if (vertex < 0 || vertex >= vertex_count) return false;
    rows[k] = vertex * channels;
  }
  return true;
}

// One pixel's value. attributes: those of its image; weights: of vertices 0 and 1. kChannels: their
// number where the compiler may know it, else 0.
template <int kChannels, typename T>
PGNFACE_HD void interpolate_pixel(const T* attributes, const std::int32_t* triangles,
                                  std::int32_t id, const T* weights, T* value,
                                  std::int64_t triangle_count, std::int64_t vertex_count,
                                  std::int64_t channels) {
  if (kChannels > 0) channels = kChannels;
  std::int64_t rows[3];
  if (!attribute_rows(triangles, id, triangle_count, vertex_count, channels, rows)) {
    for (std::int64_t c = 0; c < channels; ++c) value[c] = T(0);
    return;
  }
  const T first = weights[0], second = weights[1], last = 1 - first - second;
  const T *a = attributes + rows[0], *b = attributes + rows[1], *d = attributes + rows[2];
  for (std::int64_t c = 0; c < channels; ++c) value[c] = first * a[c] + second * b[c] + last * d[c];
}

// Hands the gradients by the attributes of a drawn pixel to add(offset, term), those by the weights
// to grad_weights unless it is null. A pixel that is not drawn reads nothing and adds zeros.
template <int kChannels, typename T, typename Add>
PGNFACE_HD void interpolate_pixel_backward(bool drawn, const std::int64_t* rows,
                                           const T* grad_value, const T* attributes,
                                           const T* weights, T* grad_weights, std::int64_t channels,
                                           const Add& add) {
  if (kChannels > 0) channels = kChannels;
  const T first = drawn ? weights[0] : T(0), second = drawn ? weights[1] : T(0);
  const T last = 1 - first - second;
  T grad0 = 0, grad1 = 0;
  for (std::int64_t c = 0; c < channels; ++c) {
    const T grad = drawn ? grad_value[c] : T(0);
    if (drawn) {
      const T origin = attributes[rows[2] + c];
      grad0 += grad * (attributes[rows[0] + c] - origin);
      grad1 += grad * (attributes[rows[1] + c] - origin);
    }
    add(rows[0] + c, first * grad);
    add(rows[1] + c, second * grad);
    add(rows[2] + c, last * grad);
  }
  if (grad_weights) {
    grad_weights[0] = grad0;
    grad_weights[1] = grad1;
  }
}

// The gradients are written whole; either may be null. workspace: CUDA in the deterministic mode,
// as many int64 as grad_attributes has values and one more.
#define PGNFACE_DECLARE(device)                                                                    \
  template <typename T>                                                                            \
  void interpolate_forward_##device(                                                               \
      const T* attributes, const std::int32_t* triangles, const std::int32_t* triangle_ids,        \
      const T* barycentrics, T* values, std::int64_t batch, std::int64_t vertex_count,             \
      std::int64_t channels, std::int64_t triangle_count, std::int64_t height, std::int64_t width, \
      const Context& context);                                                                     \
  template <typename T>                                                                            \
  void interpolate_backward_##device(                                                              \
      const T* grad_values, const T* attributes, const std::int32_t* triangles,                    \
      const std::int32_t* triangle_ids, const T* barycentrics, T* grad_attributes,                 \
      T* grad_barycentrics, std::int64_t* workspace, std::int64_t batch,                           \
      std::int64_t vertex_count, std::int64_t channels, std::int64_t triangle_count,               \
      std::int64_t height, std::int64_t width, const Context& context);
PGNFACE_DECLARE(cpu)
PGNFACE_DECLARE(cuda)
#undef PGNFACE_DECLARE

}  // namespace pgnface
