#include "common/batch_index.h"
#include "common/channels.h"
#include "common/cuda.h"
#include "common/scatter.cuh"
#include "sample_colors/sample_colors.h"

namespace pgnface {
namespace {

template <int kChannels>
__global__ void forward_kernel(const float* image, const float* points, float* colors,
                               std::int64_t batch, std::int64_t channels, std::int32_t height,
                               std::int32_t width, std::int64_t count, std::int64_t stride) {
  PGNFACE_GRID_LOOP(i, batch * count) {
    const float* point = points + i * stride;
    sample_color<kChannels>(image + batch_index(i, count).item * channels * height * width,
                            bilinear_tap(point[0], point[1], height, width), colors + i * channels,
                            channels, height, width);
  }
}

template <int kChannels>
struct Backward {
  const float *grad_colors, *image, *points;
  float* grad_points;
  std::int64_t channels, count, stride;
  std::int32_t height, width;

  template <typename Add>
  __device__ void operator()(std::int64_t i, const Add& add) const {
    const std::int64_t offset = batch_index(i, count).item * channels * height * width;
    const float* point = points + i * stride;
    sample_color_backward<kChannels>(
        grad_colors + i * channels, image + offset, bilinear_tap(point[0], point[1], height, width),
        grad_points ? grad_points + i * stride : nullptr, channels, height, width, stride,
        [&](std::int64_t k, float term) { add(offset + k, term); });
  }
};

// For a caller that wants the gradient by the points alone.
template <int kChannels>
__global__ void points_kernel(std::int64_t items, Backward<kChannels> backward) {
  PGNFACE_GRID_LOOP(i, items) {
    backward(i, [](std::int64_t, float) {});
  }
}

}  // namespace

template <typename T>
void sample_colors_forward_cuda(const T* image, const T* points, T* colors, std::int64_t batch,
                                std::int64_t channels, std::int64_t height, std::int64_t width,
                                std::int64_t count, std::int64_t stride, const Context& context) {
  DeviceGuard guard(context);
  if (batch * count == 0) return;
  with_channels(channels, [&](auto known) {
    forward_kernel<known()><<<grid_for(batch * count), kBlock, 0, stream_of(context)>>>(
        image, points, colors, batch, channels, static_cast<std::int32_t>(height),
        static_cast<std::int32_t>(width), count, stride);
  });
  check_cuda(cudaGetLastError(), "sample_colors");
}

template <typename T>
void sample_colors_backward_cuda(const T* grad_colors, const T* image, const T* points,
                                 T* grad_image, T* grad_points, std::int64_t* workspace,
                                 std::int64_t batch, std::int64_t channels, std::int64_t height,
                                 std::int64_t width, std::int64_t count, std::int64_t stride,
                                 const Context& context) {
  DeviceGuard guard(context);
  const std::int64_t items = batch * count;
  with_channels(channels, [&](auto known) {
    const Backward<known()> backward{grad_colors,
                                     image,
                                     points,
                                     grad_points,
                                     channels,
                                     count,
                                     stride,
                                     static_cast<std::int32_t>(height),
                                     static_cast<std::int32_t>(width)};
    if (grad_image != nullptr) {
      scatter_add(items, backward, grad_image, batch * channels * height * width, workspace,
                  context);
    } else if (items > 0) {
      points_kernel<<<grid_for(items), kBlock, 0, stream_of(context)>>>(items, backward);
      check_cuda(cudaGetLastError(), "sample_colors backward");
    }
  });
}

template void sample_colors_forward_cuda<float>(const float*, const float*, float*, std::int64_t,
                                                std::int64_t, std::int64_t, std::int64_t,
                                                std::int64_t, std::int64_t, const Context&);
template void sample_colors_backward_cuda<float>(const float*, const float*, const float*, float*,
                                                 float*, std::int64_t*, std::int64_t, std::int64_t,
                                                 std::int64_t, std::int64_t, std::int64_t,
                                                 std::int64_t, const Context&);

}  // namespace pgnface
