// From the keys of pixels to what is seen there, and the gradient of that, on the CPU.
#pragma once

#include <cstdint>

#include "rasterize/coverage.h"

namespace pgnface {

// Ids, weights and depth of `count` pixels of row y from column 0.
template <typename T>
void resolve_row(const T* vertices, const std::int32_t* triangles, const Key* keys, std::int64_t y,
                 std::int64_t count, std::int32_t* ids, T* barycentrics, T* depth);

// Adds the gradient of `count` pixels of row y to the vertices, in the order of columns. Either
// gradient may be null.
template <typename T>
void resolve_row_backward(const T* grad_barycentrics, const T* grad_depth, const T* vertices,
                          const std::int32_t* triangles, std::int64_t triangle_count,
                          const std::int32_t* ids, std::int64_t y, std::int64_t count,
                          T* grad_vertices);

}  // namespace pgnface
