#include "common/batch_index.h"
#include "common/channels.h"
#include "common/cuda.h"
#include "common/scatter.cuh"
#include "interpolate/interpolate.h"

namespace pgnface {
namespace {

template <int kChannels>
__global__ void forward_kernel(const float* attributes, const std::int32_t* triangles,
                               const std::int32_t* triangle_ids, const float* barycentrics,
                               float* values, std::int64_t batch, std::int64_t vertex_count,
                               std::int64_t channels, std::int64_t triangle_count,
                               std::int64_t pixels) {
  PGNFACE_GRID_LOOP(i, batch * pixels) {
    interpolate_pixel<kChannels>(attributes + batch_index(i, pixels).item * vertex_count * channels,
                                 triangles, triangle_ids[i], barycentrics + 2 * i,
                                 values + i * channels, triangle_count, vertex_count, channels);
  }
}

template <int kChannels>
struct Backward {
  const float *grad_values, *attributes;
  const std::int32_t *triangles, *triangle_ids;
  const float* barycentrics;
  float* grad_barycentrics;
  std::int64_t vertex_count, channels, triangle_count, pixels, items;

  __device__ bool rows_of(std::int64_t i, std::int64_t rows[3]) const {
    return attribute_rows(triangles, triangle_ids[i], triangle_count, vertex_count, channels, rows);
  }

  // Of the triangle among those of all images.
  __device__ std::int64_t key(std::int64_t i) const {
    std::int64_t rows[3];
    return rows_of(i, rows) ? batch_index(i, pixels).item * triangle_count + triangle_ids[i] : -1;
  }

  template <typename Add>
  __device__ void operator()(std::int64_t i, std::int64_t key, const Add& add) const {
    const std::int64_t image = batch_index(i, pixels).item * vertex_count * channels;
    std::int64_t rows[3] = {0, 0, 0};
    const bool drawn = key >= 0 && rows_of(i, rows);
    const bool wanted = grad_barycentrics != nullptr && i < items;
    interpolate_pixel_backward<kChannels>(
        drawn, rows, grad_values + i * channels, attributes + image, barycentrics + 2 * i,
        wanted ? grad_barycentrics + 2 * i : nullptr, channels,
        [&](std::int64_t k, float term) { add(image + k, term); });
  }
};

// For a caller that wants the gradient by the barycentrics alone.
template <int kChannels>
__global__ void barycentrics_kernel(Backward<kChannels> backward) {
  PGNFACE_GRID_LOOP(i, backward.items) {
    backward(i, backward.key(i), [](std::int64_t, float) {});
  }
}

}  // namespace

template <typename T>
void interpolate_forward_cuda(const T* attributes, const std::int32_t* triangles,
                              const std::int32_t* triangle_ids, const T* barycentrics, T* values,
                              std::int64_t batch, std::int64_t vertex_count, std::int64_t channels,
                              std::int64_t triangle_count, std::int64_t height, std::int64_t width,
                              const Context& context) {
  DeviceGuard guard(context);
  const std::int64_t pixels = height * width;
  if (batch * pixels == 0) return;
  with_channels(channels, [&](auto known) {
    forward_kernel<known()><<<grid_for(batch * pixels), kBlock, 0, stream_of(context)>>>(
        attributes, triangles, triangle_ids, barycentrics, values, batch, vertex_count, channels,
        triangle_count, pixels);
  });
  check_cuda(cudaGetLastError(), "interpolate");
}

template <typename T>
void interpolate_backward_cuda(const T* grad_values, const T* attributes,
                               const std::int32_t* triangles, const std::int32_t* triangle_ids,
                               const T* barycentrics, T* grad_attributes, T* grad_barycentrics,
                               std::int64_t* workspace, std::int64_t batch,
                               std::int64_t vertex_count, std::int64_t channels,
                               std::int64_t triangle_count, std::int64_t height, std::int64_t width,
                               const Context& context) {
  DeviceGuard guard(context);
  const std::int64_t items = batch * height * width;
  with_channels(channels, [&](auto known) {
    const Backward<known()> backward{grad_values,    attributes,        triangles,    triangle_ids,
                                     barycentrics,   grad_barycentrics, vertex_count, channels,
                                     triangle_count, height * width,    items};
    if (grad_attributes != nullptr) {
      scatter_add(items, backward, grad_attributes, batch * vertex_count * channels, workspace,
                  context);
    } else if (items > 0) {
      barycentrics_kernel<<<grid_for(items), kBlock, 0, stream_of(context)>>>(backward);
      check_cuda(cudaGetLastError(), "interpolate backward");
    }
  });
}

template void interpolate_forward_cuda<float>(const float*, const std::int32_t*,
                                              const std::int32_t*, const float*, float*,
                                              std::int64_t, std::int64_t, std::int64_t,
                                              std::int64_t, std::int64_t, std::int64_t,
                                              const Context&);
template void interpolate_backward_cuda<float>(const float*, const float*, const std::int32_t*,
                                               const std::int32_t*, const float*, float*, float*,
                                               std::int64_t*, std::int64_t, std::int64_t,
                                               std::int64_t, std::int64_t, std::int64_t,
                                               std::int64_t, const Context&);

}  // namespace pgnface
