#include <algorithm>

#include "common/channels.h"
#include "common/mesh.h"
#include "common/parallel.h"
#include "common/prefetch.h"
#include "common/scatter.h"
#include "interpolate/interpolate.h"

namespace pgnface {
namespace {

// Pixels [begin, end) of one image. grad_attributes: of this image, or null; adds to it.
template <int kChannels, bool kAttributes, typename T>
void backward_pixels(const T* grad_values, const T* attributes, const std::int32_t* triangles,
                     const std::int32_t* triangle_ids, const T* barycentrics, T* grad_attributes,
                     T* grad_barycentrics, std::int64_t begin, std::int64_t end,
                     std::int64_t vertex_count, std::int64_t channels,
                     std::int64_t triangle_count) {
  const std::int64_t stride = kChannels > 0 ? kChannels : channels;
  for (std::int64_t i = begin; i < end; ++i) {
    prefetch_ahead(
        i, end, triangle_ids, triangles, triangle_count,
        [=](std::int64_t first, std::int64_t last) {
          prefetch_range(grad_values + stride * first, grad_values + stride * last);
          prefetch_range(barycentrics + 2 * first, barycentrics + 2 * last);
          if (!grad_barycentrics) return;
          prefetch_range<Access::write>(grad_barycentrics + 2 * first,
                                        grad_barycentrics + 2 * last);
        },
        [=](const std::int32_t* triangle) {
          for (int k = 0; k < 3; ++k) {
            prefetch(attributes + triangle[k] * stride);
            if (kAttributes) prefetch<Access::write>(grad_attributes + triangle[k] * stride);
          }
        });
    std::int64_t rows[3];
    T* grad_weights = grad_barycentrics ? grad_barycentrics + 2 * i : nullptr;
    if (attribute_rows(triangles, triangle_ids[i], triangle_count, vertex_count, stride, rows)) {
      interpolate_pixel_backward<kChannels>(true, rows, grad_values + i * stride, attributes,
                                            barycentrics + 2 * i, grad_weights, channels,
                                            [=](std::int64_t k, T term) {
                                              if (kAttributes) grad_attributes[k] += term;
                                            });
    } else if (grad_weights) {
      grad_weights[0] = grad_weights[1] = T(0);
    }
  }
}

}  // namespace

template <typename T>
void interpolate_forward_cpu(const T* attributes, const std::int32_t* triangles,
                             const std::int32_t* triangle_ids, const T* barycentrics, T* values,
                             std::int64_t batch, std::int64_t vertex_count, std::int64_t channels,
                             std::int64_t triangle_count, std::int64_t height, std::int64_t width,
                             const Context& context) {
  require_vertex_indices("interpolate", triangles, triangle_count, vertex_count);
  const std::int64_t rows = std::max<std::int64_t>(8192 / std::max<std::int64_t>(width, 1), 1);
  const std::int64_t chunks = (height + rows - 1) / rows;  // of an image
  with_channels(channels, [&](auto known) {
    parallel_for(batch * chunks, 1, context.threads, [&](std::int64_t chunk, std::int64_t) {
      const std::int64_t n = chunk / chunks, row = chunk % chunks * rows;
      const T* image = attributes + n * vertex_count * channels;
      const std::int64_t end = (n * height + std::min(row + rows, height)) * width;
      for (std::int64_t i = (n * height + row) * width; i < end; ++i) {
        interpolate_pixel<known()>(image, triangles, triangle_ids[i], barycentrics + 2 * i,
                                   values + i * channels, triangle_count, vertex_count, channels);
      }
    });
  });
}

template <typename T>
void interpolate_backward_cpu(const T* grad_values, const T* attributes,
                              const std::int32_t* triangles, const std::int32_t* triangle_ids,
                              const T* barycentrics, T* grad_attributes, T* grad_barycentrics,
                              std::int64_t* /*workspace*/, std::int64_t batch,
                              std::int64_t vertex_count, std::int64_t channels,
                              std::int64_t triangle_count, std::int64_t height, std::int64_t width,
                              const Context& context) {
  require_vertex_indices("interpolate", triangles, triangle_count, vertex_count);
  const std::int64_t size = grad_attributes ? vertex_count * channels : 0;
  with_channels(channels, [&](auto known) {
    const auto backward =
        grad_attributes ? backward_pixels<known(), true, T> : backward_pixels<known(), false, T>;
    scatter_in_bands(grad_attributes, batch, size, height, context.threads,
                     [&](std::int64_t n, std::int64_t begin, std::int64_t end, T* target) {
                       backward(grad_values, attributes + n * vertex_count * channels, triangles,
                                triangle_ids, barycentrics, target, grad_barycentrics,
                                (n * height + begin) * width, (n * height + end) * width,
                                vertex_count, channels, triangle_count);
                     });
  });
}

#define PGNFACE_INSTANTIATE(T)                                                               \
  template void interpolate_forward_cpu<T>(                                                  \
      const T*, const std::int32_t*, const std::int32_t*, const T*, T*, std::int64_t,        \
      std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, const Context&); \
  template void interpolate_backward_cpu<T>(                                                 \
      const T*, const T*, const std::int32_t*, const std::int32_t*, const T*, T*, T*,        \
      std::int64_t*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,   \
      std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
