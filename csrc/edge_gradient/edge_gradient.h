// Gradient of a rendered image by the outlines of what it shows.
//
//   grad_image, image (batch, height, width, channels)
//   vertices          (batch, vertex_count, 3) image space
//   triangles         (triangle_count, 3) int32
//   triangle_ids, barycentrics, depth: what rasterize gave
//   grad_vertices     (batch, vertex_count, 3), z gets none
//
// Where two neighbouring pixels show different surfaces, a boundary runs between them and moves
// with the nearer surface. A boundary that moves by dx across a row adds dx pixels of the colour on
// its left and takes as much of the colour on its right. Between pixels a and b = a + 1 of a row,
// half of it counted in each, hence
//
//     dL/dx += 1/2 (g_a + g_b) . (I_a - I_b),
//
// and likewise for y between rows. It is handed to the vertices of the nearer triangle by the
// barycentric weights of its pixel. Summed along an outline this is the line integral of the
// boundary's motion along its normal. (The idea is that of Pidhorskyi et al., Rasterized Edge
// Gradients, ECCV 2024; the derivation and the test below are ours.)
//
// Anything is in front of an empty pixel. Two surfaces have a boundary between them when one lies
// in front of the other at both pixel centres, each continued along the plane of its triangle: at a
// ridge or a valley of a connected mesh each lies in front at one of the two centres, and the same
// holds where two surfaces cut through each other, whose boundary gets no gradient.
//
// An id or vertex index that is out of range counts as empty (the CPU throws std::out_of_range for
// a vertex index).
#pragma once

#include <cmath>
#include <cstdint>

#include "common/context.h"
#include "common/macros.h"
#include "common/mesh.h"

namespace pgnface {

// What a pixel shows, as a plane.
template <typename T>
struct Surface {
  std::int32_t id;        // of the triangle, -1 where the pixel is empty
  T z, slope_x, slope_y;  // depth at the centre; change of depth to the next column and row
};

template <typename T>
PGNFACE_HD Surface<T> surface_at(const T* vertices, const std::int32_t* triangles, std::int32_t id,
                                 T depth, std::int64_t vertex_count, std::int64_t triangle_count) {
  Surface<T> surface{-1, depth, T(0), T(0)};
  if (id < 0 || id >= triangle_count) return surface;
  const T* v[3];
  if (!triangle_vertices(vertices, triangles + 3 * std::int64_t(id), vertex_count, v)) {
    return surface;
  }
  surface.id = id;
  T p[3], q[3];
  for (int k = 0; k < 3; ++k) {
    p[k] = v[1][k] - v[0][k];
    q[k] = v[2][k] - v[0][k];
  }
  const T normal_z = p[0] * q[1] - p[1] * q[0];
  const T least = T(1) / T(65536);  // thinner ones have no usable plane: take them as level
  if (normal_z > least || normal_z < -least) {
    const T inverse = 1 / normal_z;
    surface.slope_x = (p[2] * q[1] - p[1] * q[2]) * inverse;
    surface.slope_y = (p[0] * q[2] - p[2] * q[0]) * inverse;
  }
  return surface;
}

// Which of two neighbours, the second one column or row after the first, hides the other: 1 the
// first, 2 the second, 0 neither. Without branches, for the sake of vector instructions.
template <typename T>
PGNFACE_HD std::int32_t nearer_of(std::int32_t id, std::int32_t next_id, T z, T next_z, T slope,
                                  T next_slope) {
  // A fifth of the surfaces' own change of depth is left to curvature, which would else be taken
  // for boundaries where triangles are smaller than a pixel; the rest is for rounding.
  const T tolerance = T(0.2) * (std::abs(slope) + std::abs(next_slope)) +
                      T(1e-5) * (std::abs(z) + std::abs(next_z));
  const T here = next_z - next_slope - z, there = next_z - z - slope;
  const std::int32_t before = (here > tolerance) & (there > tolerance);
  const std::int32_t behind = (here < -tolerance) & (there < -tolerance);
  const std::int32_t drawn = id >= 0, next_drawn = next_id >= 0;
  const std::int32_t both = drawn & next_drawn & (id != next_id);
  return ((both & before) | (drawn & ~next_drawn)) + 2 * ((both & behind) | (next_drawn & ~drawn));
}

// Adds the gradient of the boundary between pixels `first` and `second` (indices into the batch) to
// coordinate `axis` of the vertices of `triangle`, which is seen at pixel `nearer`, the nearer of
// the two. `add` takes an offset into the image's vertices.
template <typename T, typename Add>
PGNFACE_HD void boundary_backward(const std::int32_t* triangle, std::int64_t nearer, int axis,
                                  std::int64_t first, std::int64_t second, const T* grad_image,
                                  const T* image, const T* barycentrics, std::int64_t channels,
                                  const Add& add) {
  T grad = 0;
  for (std::int64_t c = 0; c < channels; ++c) {
    const std::int64_t i = first * channels + c, j = second * channels + c;
    grad += (grad_image[i] + grad_image[j]) * (image[i] - image[j]);
  }
  grad *= T(0.5);
  const T* weights = barycentrics + 2 * nearer;
  add(3 * std::int64_t(triangle[0]) + axis, weights[0] * grad);
  add(3 * std::int64_t(triangle[1]) + axis, weights[1] * grad);
  add(3 * std::int64_t(triangle[2]) + axis, (1 - weights[0] - weights[1]) * grad);
}

// grad_vertices is written whole. workspace: CUDA in the deterministic mode, as many int64 as
// grad_vertices has values and one more.
#define PGNFACE_DECLARE(device)                                                                    \
  template <typename T>                                                                            \
  void edge_gradient_backward_##device(                                                            \
      const T* grad_image, const T* image, const T* vertices, const std::int32_t* triangles,       \
      const std::int32_t* triangle_ids, const T* barycentrics, const T* depth, T* grad_vertices,   \
      std::int64_t* workspace, std::int64_t batch, std::int64_t vertex_count,                      \
      std::int64_t triangle_count, std::int64_t height, std::int64_t width, std::int64_t channels, \
      const Context& context);
PGNFACE_DECLARE(cpu)
PGNFACE_DECLARE(cuda)
#undef PGNFACE_DECLARE

}  // namespace pgnface
