#include <algorithm>

#include "common/mesh.h"
#include "common/parallel.h"
#include "common/scatter.h"
#include "interpolate/interpolate.h"

namespace pgnface {

template <typename T>
void interpolate_forward_cpu(const T* attributes, const std::int32_t* triangles,
                             const std::int32_t* triangle_ids, const T* barycentrics, T* values,
                             std::int64_t batch, std::int64_t vertex_count, std::int64_t channels,
                             std::int64_t triangle_count, std::int64_t height, std::int64_t width,
                             const Context& context) {
  require_vertex_indices("interpolate", triangles, triangle_count, vertex_count);
  const std::int64_t pixels = height * width;
  parallel_for(batch * pixels, 4096, context.threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      T* value = values + i * channels;
      std::int64_t rows[3];
      if (!attribute_rows(triangles, triangle_ids[i], triangle_count, vertex_count, channels,
                          rows)) {
        std::fill_n(value, channels, T(0));
        continue;
      }
      const T* image = attributes + i / pixels * vertex_count * channels;
      const T b0 = barycentrics[2 * i], b1 = barycentrics[2 * i + 1], b2 = 1 - b0 - b1;
      for (std::int64_t c = 0; c < channels; ++c) {
        value[c] = b0 * image[rows[0] + c] + b1 * image[rows[1] + c] + b2 * image[rows[2] + c];
      }
    }
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
  scatter_by_rows(grad_attributes, batch, grad_attributes ? vertex_count * channels : 0, height,
                  context.threads,
                  [&](std::int64_t n, std::int64_t row_begin, std::int64_t row_end, T* target) {
                    const T* image = attributes + n * vertex_count * channels;
                    const std::int64_t end = (n * height + row_end) * width;
                    for (std::int64_t i = (n * height + row_begin) * width; i < end; ++i) {
                      std::int64_t rows[3];
                      T grad0 = 0, grad1 = 0;
                      if (attribute_rows(triangles, triangle_ids[i], triangle_count, vertex_count,
                                         channels, rows)) {
                        const T b0 = barycentrics[2 * i], b1 = barycentrics[2 * i + 1],
                                b2 = 1 - b0 - b1;
                        for (std::int64_t c = 0; c < channels; ++c) {
                          const T grad = grad_values[i * channels + c], last = image[rows[2] + c];
                          grad0 += grad * (image[rows[0] + c] - last);
                          grad1 += grad * (image[rows[1] + c] - last);
                          if (grad_attributes) {
                            target[rows[0] + c] += b0 * grad;
                            target[rows[1] + c] += b1 * grad;
                            target[rows[2] + c] += b2 * grad;
                          }
                        }
                      }
                      if (grad_barycentrics) {
                        grad_barycentrics[2 * i] = grad0;
                        grad_barycentrics[2 * i + 1] = grad1;
                      }
                    }
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
