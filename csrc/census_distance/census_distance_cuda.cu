#include "census_distance/census_distance.h"
#include "common/batch_index.h"
#include "common/cuda.h"

namespace pgnface {
namespace {

// Calls visit(offset) for the other pixels of the window that lie in the image.
template <typename Visit>
__device__ void for_neighbours(const CensusShape& shape, const Pixel& at, const Visit& visit) {
  const std::int64_t radius = shape.radius;
  const std::int64_t left = -min(radius, at.column);
  const std::int64_t right = min(radius, shape.width - 1 - at.column);
  const std::int64_t top = -min(radius, at.row);
  const std::int64_t bottom = min(radius, shape.height - 1 - at.row);
  for (std::int64_t dy = top; dy <= bottom; ++dy) {
    for (std::int64_t dx = left; dx <= right; ++dx) {
      if (dx != 0 || dy != 0) visit(dy * shape.width + dx);
    }
  }
}

template <typename T>
__global__ void forward_kernel(const T* __restrict__ image, const T* __restrict__ target,
                               const T* __restrict__ mask, T* __restrict__ distance,
                               CensusShape shape, CensusScale<T> scale) {
  PGNFACE_GRID_LOOP(i, shape.batch * shape.height * shape.width) {
    const Pixel at = pixel_at(i, shape.height, shape.width);
    const bool inside = at.column >= shape.radius && at.column < shape.width - shape.radius &&
                        at.row >= shape.radius && at.row < shape.height - shape.radius;
    T sum = 0;
    if (inside && (!mask || mask[i] > 0)) {
      for_neighbours(shape, at, [&](std::int64_t offset) {
        sum += scale.term(image[i + offset] - image[i], target[i + offset] - target[i]);
      });
      sum /= T(max(shape.neighbours(), std::int64_t(1)));
    }
    distance[i] = sum;
  }
}

template <typename T>
__global__ void backward_kernel(const T* __restrict__ grad, const T* __restrict__ image,
                                const T* __restrict__ target, T* __restrict__ grad_image,
                                T* __restrict__ grad_target, CensusShape shape,
                                CensusScale<T> scale) {
  PGNFACE_GRID_LOOP(i, shape.batch * shape.height * shape.width) {
    T image_sum = 0, target_sum = 0;
    for_neighbours(shape, pixel_at(i, shape.height, shape.width), [&](std::int64_t offset) {
      const T weight = grad[i] + grad[i + offset];
      if (weight == 0) return;
      const T of_image = image[i + offset] - image[i];
      const T of_target = target[i + offset] - target[i];
      const T slope = weight * scale.term_slope(of_image, of_target);
      image_sum -= slope * scale.slope(of_image);
      target_sum += slope * scale.slope(of_target);
    });
    const T share = T(1) / T(max(shape.neighbours(), std::int64_t(1)));
    grad_image[i] = image_sum * share;
    if (grad_target) grad_target[i] = target_sum * share;
  }
}

}  // namespace

template <typename T>
void census_distance_forward_cuda(const T* image, const T* target, const T* mask, T* distance,
                                  std::int64_t batch, std::int64_t height, std::int64_t width,
                                  std::int64_t radius, double contrast, const Context& context) {
  DeviceGuard guard(context);
  const std::int64_t pixels = batch * height * width;
  if (pixels == 0) return;
  const CensusShape shape{batch, height, width, radius};
  forward_kernel<<<grid_for(pixels), kBlock, 0, stream_of(context)>>>(
      image, target, mask, distance, shape, CensusScale<T>{T(contrast * contrast)});
  check_cuda(cudaGetLastError(), "census_distance");
}

template <typename T>
void census_distance_backward_cuda(const T* grad_distance, const T* image, const T* target,
                                   T* grad_image, T* grad_target, std::int64_t batch,
                                   std::int64_t height, std::int64_t width, std::int64_t radius,
                                   double contrast, const Context& context) {
  DeviceGuard guard(context);
  const std::int64_t pixels = batch * height * width;
  if (pixels == 0) return;
  const CensusShape shape{batch, height, width, radius};
  backward_kernel<<<grid_for(pixels), kBlock, 0, stream_of(context)>>>(
      grad_distance, image, target, grad_image, grad_target, shape,
      CensusScale<T>{T(contrast * contrast)});
  check_cuda(cudaGetLastError(), "census_distance backward");
}

template void census_distance_forward_cuda<float>(const float*, const float*, const float*, float*,
                                                  std::int64_t, std::int64_t, std::int64_t,
                                                  std::int64_t, double, const Context&);
template void census_distance_backward_cuda<float>(const float*, const float*, const float*, float*,
                                                   float*, std::int64_t, std::int64_t, std::int64_t,
                                                   std::int64_t, double, const Context&);

}  // namespace pgnface
