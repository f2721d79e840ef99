// Which triangle is seen at each pixel centre, where in it, and at what depth.
//
//   vertices     (batch, vertex_count, 3) image space: x right, y down, z into the scene, pixels;
//                pixel (row i, column j) has its centre at (j + 0.5, i + 0.5)
//   triangles    (triangle_count, 3) int32
//   triangle_ids (batch, height, width) int32, -1 where nothing is drawn
//   barycentrics (batch, height, width, 2), weights of vertices 0 and 1 of that triangle; 0 where
//                nothing is drawn
//   depth        (batch, height, width), +infinity where nothing is drawn
//
// Coverage and depth test: coverage.h; weights: barycentric.h. The nearest triangle wins, at equal
// depth the one with the lower id. Both windings are drawn. A triangle with a vertex that is not
// finite, or with a coordinate beyond 2^20, covers nothing.
//
// A vertex index out of range throws std::out_of_range on the CPU. On CUDA, where a check would
// wait for the device, such a triangle is never read through: it covers nothing.
#pragma once

#include <cstdint>

#include "common/context.h"

namespace pgnface {

// workspace: CUDA only, batch * (height * width + triangle_count) + 2 int64, need not be set.
template <typename T>
void rasterize_forward_cpu(const T* vertices, const std::int32_t* triangles,
                           std::int32_t* triangle_ids, T* barycentrics, T* depth,
                           std::int64_t* workspace, std::int64_t batch, std::int64_t vertex_count,
                           std::int64_t triangle_count, std::int64_t height, std::int64_t width,
                           const Context& context);

// grad_barycentrics and grad_depth may be null; grad_vertices need not be set.
// workspace: CUDA in the deterministic mode, batch * vertex_count * 3 + 1 int64, need not be set.
template <typename T>
void rasterize_backward_cpu(const T* grad_barycentrics, const T* grad_depth, const T* vertices,
                            const std::int32_t* triangles, const std::int32_t* triangle_ids,
                            T* grad_vertices, std::int64_t* workspace, std::int64_t batch,
                            std::int64_t vertex_count, std::int64_t triangle_count,
                            std::int64_t height, std::int64_t width, const Context& context);

template <typename T>
void rasterize_forward_cuda(const T* vertices, const std::int32_t* triangles,
                            std::int32_t* triangle_ids, T* barycentrics, T* depth,
                            std::int64_t* workspace, std::int64_t batch, std::int64_t vertex_count,
                            std::int64_t triangle_count, std::int64_t height, std::int64_t width,
                            const Context& context);

template <typename T>
void rasterize_backward_cuda(const T* grad_barycentrics, const T* grad_depth, const T* vertices,
                             const std::int32_t* triangles, const std::int32_t* triangle_ids,
                             T* grad_vertices, std::int64_t* workspace, std::int64_t batch,
                             std::int64_t vertex_count, std::int64_t triangle_count,
                             std::int64_t height, std::int64_t width, const Context& context);

}  // namespace pgnface
