#include <algorithm>

#include "common/mesh.h"
#include "common/parallel.h"
#include "common/scatter.h"
#include "common/scratch.h"
#include "common/simd.h"
#include "rasterize/draw_cpu.h"
#include "rasterize/rasterize.h"
#include "rasterize/resolve_cpu.h"

namespace pgnface {
namespace {

template <typename T>
PGNFACE_CLONES void snap_vertices(const T* vertices, std::int64_t count, FixedVertex* fixed) {
#pragma omp simd
  for (std::int64_t v = 0; v < count; ++v) fixed[v] = snap_vertex(vertices + 3 * v);
}

// Images of one size, and what is drawn from them.
template <typename T>
struct Scene {
  const T* vertices;
  const std::int32_t* triangles;
  std::int32_t* triangle_ids;
  T* barycentrics;
  T* depth;
  std::int64_t vertex_count, triangle_count, height, width;

  std::int64_t groups() const { return (triangle_count + kTriangleBlock - 1) / kTriangleBlock; }

  // Rows [row_begin, row_end) of image n.
  void draw_rows(std::int64_t n, std::int64_t row_begin, std::int64_t row_end,
                 const FixedVertex* fixed, const Extent* extents) const {
    thread_local Scratch<Key> keys_of_thread;
    const std::int64_t size = (row_end - row_begin) * width + kKeyPadding;
    Key* keys = keys_of_thread.reserve(size);
    std::fill_n(keys, size, kEmpty);
    draw_band(fixed, triangles, extents, extents + triangle_count, triangle_count,
              {static_cast<std::int32_t>(width), static_cast<std::int32_t>(height),
               static_cast<std::int32_t>(row_begin), static_cast<std::int32_t>(row_end), keys});
    for (std::int64_t y = row_begin; y < row_end; ++y) {
      const std::int64_t row = (n * height + y) * width;
      resolve_row(vertices + n * vertex_count * 3, triangles, keys + (y - row_begin) * width, y,
                  width, triangle_ids + row, barycentrics + 2 * row, depth + row);
    }
  }

  void find_extents(std::int64_t begin, std::int64_t end, const FixedVertex* fixed,
                    Extent* extents) const {
    pgnface::find_extents(fixed, triangles, begin, std::min(end, triangle_count),
                          static_cast<std::int32_t>(width), static_cast<std::int32_t>(height),
                          extents, extents + triangle_count);
  }

  // One image by one thread.
  void draw_image(std::int64_t n, std::int64_t rows) const {
    thread_local Scratch<FixedVertex> fixed_of_thread;
    thread_local Scratch<Extent> extents_of_thread;
    FixedVertex* fixed = fixed_of_thread.reserve(vertex_count);
    Extent* extents = extents_of_thread.reserve(triangle_count + groups());
    snap_vertices(vertices + n * vertex_count * 3, vertex_count, fixed);
    find_extents(0, triangle_count, fixed, extents);
    for (std::int64_t y = 0; y < height; y += rows) {
      draw_rows(n, y, std::min(y + rows, height), fixed, extents);
    }
  }

  // Images from `begin` on, each by all threads.
  void draw_together(std::int64_t begin, std::int64_t count, std::int64_t rows, int threads) const {
    constexpr std::int64_t kGrain = 1 << 12;  // vertices or triangles
    thread_local Scratch<FixedVertex> fixed_of_call;
    thread_local Scratch<Extent> extents_of_call;
    const std::int64_t extent_count = triangle_count + groups();
    FixedVertex* fixed = fixed_of_call.reserve(count * vertex_count);
    Extent* extents = extents_of_call.reserve(count * extent_count);
    const std::int64_t vertex_chunks = (count * vertex_count + kGrain - 1) / kGrain;
    const std::int64_t triangle_chunks = (triangle_count + kGrain - 1) / kGrain;
    const std::int64_t bands = (height + rows - 1) / rows;
    const auto snap = [&](std::int64_t i) {
      const std::int64_t first = i * kGrain;
      snap_vertices(vertices + 3 * (begin * vertex_count + first),
                    std::min(kGrain, count * vertex_count - first), fixed + first);
    };
    const auto find = [&](std::int64_t i) {
      const std::int64_t image = i / triangle_chunks, first = i % triangle_chunks * kGrain;
      find_extents(first, first + kGrain, fixed + image * vertex_count,
                   extents + image * extent_count);
    };
    const auto draw = [&](std::int64_t i) {
      const std::int64_t image = i / bands, y = i % bands * rows;
      draw_rows(begin + image, y, std::min(y + rows, height), fixed + image * vertex_count,
                extents + image * extent_count);
    };
    parallel_steps({{vertex_chunks, snap}, {count * triangle_chunks, find}, {count * bands, draw}},
                   threads);
  }
};

}  // namespace

template <typename T>
void rasterize_forward_cpu(const T* vertices, const std::int32_t* triangles,
                           std::int32_t* triangle_ids, T* barycentrics, T* depth,
                           std::int64_t* /*workspace*/, std::int64_t batch,
                           std::int64_t vertex_count, std::int64_t triangle_count,
                           std::int64_t height, std::int64_t width, const Context& context) {
  require_vertex_indices("rasterize", triangles, triangle_count, vertex_count);
  if (height * width == 0) return;
  const Scene<T> scene{vertices,     triangles,      triangle_ids, barycentrics, depth,
                       vertex_count, triangle_count, height,       width};
  // The cut into bands leaves no trace in the result: it may follow the threads, and it keeps the
  // keys in the cache.
  constexpr std::int64_t kBandPixels = 1 << 16, kBandsPerThread = 4;
  const std::int64_t rows = std::max<std::int64_t>(kBandPixels / width, 1);
  const std::int64_t threads = std::max(context.threads, 1), rest = batch % threads;
  parallel_for(batch - rest, 1, context.threads,
               [&](std::int64_t n, std::int64_t) { scene.draw_image(n, rows); });
  if (rest == 0) return;
  const std::int64_t bands = (kBandsPerThread * threads + rest - 1) / rest;
  scene.draw_together(batch - rest, rest, std::min(rows, (height + bands - 1) / bands),
                      context.threads);
}

template <typename T>
void rasterize_backward_cpu(const T* grad_barycentrics, const T* grad_depth, const T* vertices,
                            const std::int32_t* triangles, const std::int32_t* triangle_ids,
                            T* grad_vertices, std::int64_t* /*workspace*/, std::int64_t batch,
                            std::int64_t vertex_count, std::int64_t triangle_count,
                            std::int64_t height, std::int64_t width, const Context& context) {
  require_vertex_indices("rasterize", triangles, triangle_count, vertex_count);
  scatter_in_bands(grad_vertices, batch, vertex_count * 3, height, context.threads,
                   [&](std::int64_t n, std::int64_t row_begin, std::int64_t row_end, T* target) {
                     const T* image_vertices = vertices + n * vertex_count * 3;
                     for (std::int64_t y = row_begin; y < row_end; ++y) {
                       const std::int64_t row = (n * height + y) * width;
                       resolve_row_backward(
                           grad_barycentrics ? grad_barycentrics + 2 * row : nullptr,
                           grad_depth ? grad_depth + row : nullptr, image_vertices, triangles,
                           triangle_count, triangle_ids + row, y, width, target);
                     }
                   });
}

#define PGNFACE_INSTANTIATE(T)                                                                    \
  template void rasterize_forward_cpu<T>(const T*, const std::int32_t*, std::int32_t*, T*, T*,    \
                                         std::int64_t*, std::int64_t, std::int64_t, std::int64_t, \
                                         std::int64_t, std::int64_t, const Context&);             \
  template void rasterize_backward_cpu<T>(                                                        \
      const T*, const T*, const T*, const std::int32_t*, const std::int32_t*, T*, std::int64_t*,  \
      std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
