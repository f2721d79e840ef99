#include "common/cuda.h"
#include "sample_colors/sample_colors.h"

namespace pgnface {
namespace {

template <typename T>
__global__ void forward_kernel(const T* image, const T* points, T* colors, std::int64_t batch,
                               std::int64_t channels, std::int64_t height, std::int64_t width,
                               std::int64_t count, std::int64_t stride) {
  PGNFACE_GRID_LOOP(i, batch * count) {
    sample_color(image + i / count * channels * height * width, points + i * stride,
                 colors + i * channels, channels, height, width);
  }
}

template <typename T>
__global__ void backward_kernel(const T* grad_colors, const T* image, const T* points,
                                T* grad_image, T* grad_points, std::int64_t batch,
                                std::int64_t channels, std::int64_t height, std::int64_t width,
                                std::int64_t count, std::int64_t stride) {
  const std::int64_t pixels = channels * height * width;
  PGNFACE_GRID_LOOP(i, batch * count) {
    sample_color_backward(
        grad_colors + i * channels, image + i / count * pixels, points + i * stride,
        grad_image ? grad_image + i / count * pixels : nullptr, grad_points + i * stride, channels,
        height, width, stride, [](T* target, T value) { atomicAdd(target, value); });
  }
}

// The order of additions is fixed: one thread a (image, channel) plane, points in turn.
template <typename T>
__global__ void deterministic_image_kernel(const T* grad_colors, const T* points, T* grad_image,
                                           std::int64_t batch, std::int64_t channels,
                                           std::int64_t height, std::int64_t width,
                                           std::int64_t count, std::int64_t stride) {
  PGNFACE_GRID_LOOP(plane, batch * channels) {
    const std::int64_t n = plane / channels, c = plane % channels;
    for (std::int64_t i = n * count; i < (n + 1) * count; ++i) {
      scatter_color(bilinear_tap(points[i * stride], points[i * stride + 1], height, width),
                    grad_colors[i * channels + c], grad_image + plane * height * width, width,
                    [](T* target, T value) { *target += value; });
    }
  }
}

}  // namespace

template <typename T>
void sample_colors_forward_cuda(const T* image, const T* points, T* colors, std::int64_t batch,
                                std::int64_t channels, std::int64_t height, std::int64_t width,
                                std::int64_t count, std::int64_t stride, const Context& context) {
  DeviceGuard guard(context);
  if (batch * count == 0) return;
  forward_kernel<<<grid_for(batch * count), kBlock, 0, stream_of(context)>>>(
      image, points, colors, batch, channels, height, width, count, stride);
  check_cuda(cudaGetLastError(), "sample_colors");
}

template <typename T>
void sample_colors_backward_cuda(const T* grad_colors, const T* image, const T* points,
                                 T* grad_image, T* grad_points, std::int64_t batch,
                                 std::int64_t channels, std::int64_t height, std::int64_t width,
                                 std::int64_t count, std::int64_t stride, const Context& context) {
  DeviceGuard guard(context);
  if (batch * count == 0) return;
  const bool separate = context.deterministic && grad_image != nullptr;
  backward_kernel<<<grid_for(batch * count), kBlock, 0, stream_of(context)>>>(
      grad_colors, image, points, separate ? nullptr : grad_image, grad_points, batch, channels,
      height, width, count, stride);
  if (separate) {
    deterministic_image_kernel<<<grid_for(batch * channels, 32), 32, 0, stream_of(context)>>>(
        grad_colors, points, grad_image, batch, channels, height, width, count, stride);
  }
  check_cuda(cudaGetLastError(), "sample_colors backward");
}

template void sample_colors_forward_cuda<float>(const float*, const float*, float*, std::int64_t,
                                                std::int64_t, std::int64_t, std::int64_t,
                                                std::int64_t, std::int64_t, const Context&);
template void sample_colors_backward_cuda<float>(const float*, const float*, const float*, float*,
                                                 float*, std::int64_t, std::int64_t, std::int64_t,
                                                 std::int64_t, std::int64_t, std::int64_t,
                                                 const Context&);

}  // namespace pgnface
