#include "common/parallel.h"
#include "sample_colors/sample_colors.h"

namespace pgnface {

template <typename T>
void sample_colors_forward_cpu(const T* image, const T* points, T* colors, std::int64_t batch,
                               std::int64_t channels, std::int64_t height, std::int64_t width,
                               std::int64_t count, std::int64_t stride, const Context& context) {
  parallel_for(batch * count, 1024, context.threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      sample_color(image + i / count * channels * height * width, points + i * stride,
                   colors + i * channels, channels, height, width);
    }
  });
}

template <typename T>
void sample_colors_backward_cpu(const T* grad_colors, const T* image, const T* points,
                                T* grad_image, T* grad_points, std::int64_t batch,
                                std::int64_t channels, std::int64_t height, std::int64_t width,
                                std::int64_t count, std::int64_t stride, const Context& context) {
  // Points of one image add to shared pixels: one chunk an image keeps the sum's order fixed.
  const std::int64_t pixels = height * width;
  parallel_for(batch, 1, context.threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      for (std::int64_t i = n * count; i < (n + 1) * count; ++i) {
        sample_color_backward(
            grad_colors + i * channels, image + n * channels * pixels, points + i * stride,
            grad_image ? grad_image + n * channels * pixels : nullptr, grad_points + i * stride,
            channels, height, width, stride, [](T* target, T value) { *target += value; });
      }
    }
  });
}

#define PGNFACE_INSTANTIATE(T)                                                                    \
  template void sample_colors_forward_cpu<T>(const T*, const T*, T*, std::int64_t, std::int64_t,  \
                                             std::int64_t, std::int64_t, std::int64_t,            \
                                             std::int64_t, const Context&);                       \
  template void sample_colors_backward_cpu<T>(const T*, const T*, const T*, T*, T*, std::int64_t, \
                                              std::int64_t, std::int64_t, std::int64_t,           \
                                              std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
