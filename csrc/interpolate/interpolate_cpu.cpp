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
      interpolate_pixel(attributes + i / pixels * vertex_count * channels, triangles,
                        triangle_ids[i], barycentrics + 2 * i, values + i * channels,
                        triangle_count, vertex_count, channels);
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
  const std::int64_t size = grad_attributes ? vertex_count * channels : 0;
  scatter_by_rows(grad_attributes, batch, size, height, context.threads,
                  [&](std::int64_t n, std::int64_t row_begin, std::int64_t row_end, T* target) {
                    const T* image = attributes + n * vertex_count * channels;
                    const auto backward = [&](const auto& add) {
                      const std::int64_t end = (n * height + row_end) * width;
                      for (std::int64_t i = (n * height + row_begin) * width; i < end; ++i) {
                        interpolate_pixel_backward(
                            grad_values + i * channels, image, triangles, triangle_ids[i],
                            barycentrics + 2 * i,
                            grad_barycentrics ? grad_barycentrics + 2 * i : nullptr, triangle_count,
                            vertex_count, channels, add);
                      }
                    };
                    if (grad_attributes) {
                      backward([target](std::int64_t i, T term) { target[i] += term; });
                    } else {
                      backward([](std::int64_t, T) {});
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
