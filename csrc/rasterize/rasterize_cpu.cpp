#include <algorithm>
#include <limits>
#include <memory>

#include "common/mesh.h"
#include "common/parallel.h"
#include "common/scatter.h"
#include "rasterize/barycentric.h"
#include "rasterize/coverage.h"
#include "rasterize/rasterize.h"

namespace pgnface {
namespace {

// The part of one image that a thread draws: all columns of rows [row_begin, row_end).
struct Band {
  std::int32_t width, row_begin, row_end;
  float* nearest;     // depth of the test, (rows, width)
  std::int32_t* ids;  // (rows, width)

  void offer(std::int64_t pixel, float z, std::int32_t id) const {
    if (z < nearest[pixel]) {  // triangles come in the order of ids: an equal depth changes nothing
      nearest[pixel] = z;
      ids[pixel] = id;
    }
  }
};

void draw_small(const EdgeFunctions<std::int32_t>& edges, const PixelBox& box, std::int32_t id,
                const Band& band) {
  std::int32_t row0 = edges.value[0], row1 = edges.value[1], row2 = edges.value[2];
  for (std::int32_t y = box.y0; y <= box.y1; ++y) {
    std::int32_t e0 = row0, e1 = row1, e2 = row2;
    const std::int64_t row = std::int64_t(y - band.row_begin) * band.width;
    for (std::int32_t x = box.x0; x <= box.x1; ++x) {
      if ((e0 | e1 | e2) >= 0) band.offer(row + x, edges.depth(e1, e2), id);
      e0 += edges.step_x[0];
      e1 += edges.step_x[1];
      e2 += edges.step_x[2];
    }
    row0 += edges.step_y[0];
    row1 += edges.step_y[1];
    row2 += edges.step_y[2];
  }
}

// A wide box is mostly empty: the covered columns of each row are found by division.
void draw_large(const EdgeFunctions<std::int64_t>& edges, const PixelBox& box, std::int32_t id,
                const Band& band) {
  for (std::int32_t y = box.y0; y <= box.y1; ++y) {
    std::int64_t row[3], first = 0, last = box.x1 - box.x0;
    for (int k = 0; k < 3; ++k) {
      row[k] = edges.value[k] + (y - box.y0) * edges.step_y[k];
      const std::int64_t step = edges.step_x[k];
      if (step > 0) {
        if (row[k] < 0) first = std::max(first, (-row[k] + step - 1) / step);
      } else if (row[k] < 0) {
        last = -1;
      } else if (step < 0) {
        last = std::min(last, row[k] / -step);
      }
    }
    std::int64_t e1 = row[1] + first * edges.step_x[1], e2 = row[2] + first * edges.step_x[2];
    const std::int64_t start = std::int64_t(y - band.row_begin) * band.width + box.x0;
    for (std::int64_t x = first; x <= last; ++x) {
      band.offer(start + x, edges.depth(e1, e2), id);
      e1 += edges.step_x[1];
      e2 += edges.step_x[2];
    }
  }
}

void draw_triangles(const FixedVertex* vertices, const std::int32_t* triangles,
                    std::int64_t triangle_count, const Band& band) {
  for (std::int64_t t = 0; t < triangle_count; ++t) {
    const FixedVertex& a = vertices[triangles[3 * t]];
    const FixedVertex& b = vertices[triangles[3 * t + 1]];
    const FixedVertex& c = vertices[triangles[3 * t + 2]];
    const PixelBox box = pixel_box(a, b, c, band.width, band.row_begin, band.row_end);
    if (box.empty()) continue;
    if (is_small(a, b, c)) {
      EdgeFunctions<std::int32_t> edges;
      if (edges.set(a, b, c, box)) draw_small(edges, box, static_cast<std::int32_t>(t), band);
    } else {
      EdgeFunctions<std::int64_t> edges;
      if (edges.set(a, b, c, box)) draw_large(edges, box, static_cast<std::int32_t>(t), band);
    }
  }
}

// Weights and depth of `count` pixels of a row from column 0.
template <typename T>
void resolve_row(const T* vertices, const std::int32_t* triangles, const std::int32_t* ids,
                 std::int64_t y, std::int64_t count, T* barycentrics, T* depth) {
  for (std::int64_t x = 0; x < count; ++x) {
    if (ids[x] < 0) {
      barycentrics[2 * x] = barycentrics[2 * x + 1] = T(0);
      depth[x] = std::numeric_limits<T>::infinity();
      continue;
    }
    resolve_pixel(vertices, triangles + 3 * std::int64_t(ids[x]), x, y, barycentrics + 2 * x,
                  depth + x);
  }
}

}  // namespace

template <typename T>
void rasterize_forward_cpu(const T* vertices, const std::int32_t* triangles,
                           std::int32_t* triangle_ids, T* barycentrics, T* depth,
                           std::int64_t* /*workspace*/, std::int64_t batch,
                           std::int64_t vertex_count, std::int64_t triangle_count,
                           std::int64_t height, std::int64_t width, const Context& context) {
  require_vertex_indices("rasterize", triangles, triangle_count, vertex_count);
  // Coverage is exact, so that the cut into bands may follow the threads without a trace.
  const std::int64_t wanted = (context.threads + batch - 1) / std::max<std::int64_t>(batch, 1);
  const std::int64_t bands = std::min(std::max<std::int64_t>(wanted, 1), height);
  const std::int64_t rows = (height + bands - 1) / bands;
  parallel_for(batch * bands, 1, context.threads, [&](std::int64_t begin, std::int64_t end) {
    std::unique_ptr<FixedVertex[]> fixed(new FixedVertex[vertex_count]);
    std::unique_ptr<float[]> nearest(new float[rows * width]);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = i / bands, row_begin = i % bands * rows;
      const std::int64_t row_end = std::min(row_begin + rows, height);
      if (row_begin >= row_end) continue;
      const T* image_vertices = vertices + n * vertex_count * 3;
      const std::int64_t start = (n * height + row_begin) * width;
      for (std::int64_t v = 0; v < vertex_count; ++v)
        fixed[v] = snap_vertex(image_vertices + 3 * v);
      std::fill_n(nearest.get(), (row_end - row_begin) * width,
                  std::numeric_limits<float>::infinity());
      std::fill_n(triangle_ids + start, (row_end - row_begin) * width, -1);
      draw_triangles(fixed.get(), triangles, triangle_count,
                     {static_cast<std::int32_t>(width), static_cast<std::int32_t>(row_begin),
                      static_cast<std::int32_t>(row_end), nearest.get(), triangle_ids + start});
      for (std::int64_t y = row_begin; y < row_end; ++y) {
        const std::int64_t row = (n * height + y) * width;
        resolve_row(image_vertices, triangles, triangle_ids + row, y, width, barycentrics + 2 * row,
                    depth + row);
      }
    }
  });
}

template <typename T>
void rasterize_backward_cpu(const T* grad_barycentrics, const T* grad_depth, const T* vertices,
                            const std::int32_t* triangles, const std::int32_t* triangle_ids,
                            T* grad_vertices, std::int64_t* /*workspace*/, std::int64_t batch,
                            std::int64_t vertex_count, std::int64_t triangle_count,
                            std::int64_t height, std::int64_t width, const Context& context) {
  require_vertex_indices("rasterize", triangles, triangle_count, vertex_count);
  scatter_by_rows(grad_vertices, batch, vertex_count * 3, height, context.threads,
                  [&](std::int64_t n, std::int64_t row_begin, std::int64_t row_end, T* target) {
                    const T* image_vertices = vertices + n * vertex_count * 3;
                    for (std::int64_t y = row_begin; y < row_end; ++y) {
                      for (std::int64_t x = 0; x < width; ++x) {
                        const std::int64_t pixel = (n * height + y) * width + x;
                        const std::int32_t id = triangle_ids[pixel];
                        if (id < 0 || id >= triangle_count) continue;
                        resolve_pixel_backward(
                            image_vertices, triangles + 3 * std::int64_t(id), x, y,
                            grad_barycentrics ? grad_barycentrics + 2 * pixel : nullptr,
                            grad_depth ? grad_depth + pixel : nullptr,
                            [target](std::int64_t i, T value) { target[i] += value; });
                      }
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
