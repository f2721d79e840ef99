#include <algorithm>
#include <vector>

#include "census_distance/census_distance.h"
#include "common/parallel.h"
#include "common/simd.h"

namespace pgnface {
namespace {

constexpr std::int64_t kRows = 8;  // of a chunk

struct Range {
  std::int64_t begin, end;
};

// Columns of a row from the first to the last that `asked` holds for.
template <typename Asked>
Range range_of(std::int64_t width, const Asked& asked) {
  Range range{0, width};
  while (range.begin < range.end && !asked(range.begin)) ++range.begin;
  while (range.begin < range.end && !asked(range.end - 1)) --range.end;
  return range;
}

// Adds the terms of one neighbour, `offset` values away, to the sums of a row's columns.
template <typename T>
PGNFACE_CLONES void add_terms(const T* image, const T* target, std::int64_t offset, Range columns,
                              CensusScale<T> scale, T* sums) {
#pragma omp simd
  for (std::int64_t x = columns.begin; x < columns.end; ++x) {
    sums[x] += scale.term(image[x + offset] - image[x], target[x + offset] - target[x]);
  }
}

template <typename T>
PGNFACE_CLONES void add_gradients(const T* grad, const T* image, const T* target,
                                  std::int64_t offset, Range columns, CensusScale<T> scale,
                                  T* image_sums, T* target_sums) {
#pragma omp simd
  for (std::int64_t x = columns.begin; x < columns.end; ++x) {
    const T of_image = image[x + offset] - image[x], of_target = target[x + offset] - target[x];
    const T weight = grad[x] + grad[x + offset];
    // Not a product: what is not compared may hold NaN.
    const T slope = weight != 0 ? weight * scale.term_slope(of_image, of_target) : T(0);
    image_sums[x] -= weight != 0 ? slope * scale.slope(of_image) : T(0);
    target_sums[x] += weight != 0 ? slope * scale.slope(of_target) : T(0);
  }
}

template <typename T>
void forward_row(const T* image, const T* target, const T* mask, T* distance,
                 const CensusShape& shape, std::int64_t y, CensusScale<T> scale) {
  std::fill(distance, distance + shape.width, T(0));
  const std::int64_t radius = shape.radius;
  if (y < radius || y >= shape.height - radius) return;
  Range columns = range_of(shape.width, [&](std::int64_t x) { return !mask || mask[x] > 0; });
  columns = {std::max(columns.begin, radius), std::min(columns.end, shape.width - radius)};
  for (std::int64_t dy = -radius; dy <= radius; ++dy) {
    for (std::int64_t dx = -radius; dx <= radius; ++dx) {
      if (dx == 0 && dy == 0) continue;
      add_terms(image, target, dy * shape.width + dx, columns, scale, distance);
    }
  }
  const T share = T(1) / T(std::max<std::int64_t>(shape.neighbours(), 1));
  for (std::int64_t x = columns.begin; x < columns.end; ++x) {
    distance[x] = !mask || mask[x] > 0 ? distance[x] * share : T(0);
  }
}

template <typename T>
void backward_row(const T* grad, const T* image, const T* target, T* grad_image, T* grad_target,
                  const CensusShape& shape, std::int64_t y, CensusScale<T> scale) {
  std::fill(grad_image, grad_image + shape.width, T(0));
  std::fill(grad_target, grad_target + shape.width, T(0));
  const std::int64_t radius = shape.radius;
  const std::int64_t first = std::max(y - radius, std::int64_t(0)) - y;
  const std::int64_t last = std::min(y + radius, shape.height - 1) - y;
  Range columns = range_of(shape.width, [&](std::int64_t x) {
    for (std::int64_t dy = first; dy <= last; ++dy) {
      if (grad[dy * shape.width + x] != 0) return true;
    }
    return false;
  });
  if (columns.begin == columns.end) return;
  columns = {std::max(columns.begin - radius, std::int64_t(0)),
             std::min(columns.end + radius, shape.width)};
  for (std::int64_t dy = first; dy <= last; ++dy) {
    for (std::int64_t dx = -radius; dx <= radius; ++dx) {
      if (dx == 0 && dy == 0) continue;
      const Range inside{std::max(columns.begin, -dx), std::min(columns.end, shape.width - dx)};
      add_gradients(grad, image, target, dy * shape.width + dx, inside, scale, grad_image,
                    grad_target);
    }
  }
  const T share = T(1) / T(std::max<std::int64_t>(shape.neighbours(), 1));
  for (std::int64_t x = columns.begin; x < columns.end; ++x) {
    grad_image[x] *= share;
    grad_target[x] *= share;
  }
}

}  // namespace

template <typename T>
void census_distance_forward_cpu(const T* image, const T* target, const T* mask, T* distance,
                                 std::int64_t batch, std::int64_t height, std::int64_t width,
                                 std::int64_t radius, double contrast, const Context& context) {
  const CensusShape shape{batch, height, width, radius};
  const CensusScale<T> scale{T(contrast * contrast)};
  parallel_for(batch * height, kRows, context.threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t start = row * width;
      forward_row(image + start, target + start, mask ? mask + start : nullptr, distance + start,
                  shape, row % height, scale);
    }
  });
}

template <typename T>
void census_distance_backward_cpu(const T* grad_distance, const T* image, const T* target,
                                  T* grad_image, T* grad_target, std::int64_t batch,
                                  std::int64_t height, std::int64_t width, std::int64_t radius,
                                  double contrast, const Context& context) {
  const CensusShape shape{batch, height, width, radius};
  const CensusScale<T> scale{T(contrast * contrast)};
  parallel_for(batch * height, kRows, context.threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<T> unasked(grad_target ? 0 : width);
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t start = row * width;
      backward_row(grad_distance + start, image + start, target + start, grad_image + start,
                   grad_target ? grad_target + start : unasked.data(), shape, row % height, scale);
    }
  });
}

#define PGNFACE_INSTANTIATE(T)                                                                   \
  template void census_distance_forward_cpu<T>(const T*, const T*, const T*, T*, std::int64_t,   \
                                               std::int64_t, std::int64_t, std::int64_t, double, \
                                               const Context&);                                  \
  template void census_distance_backward_cpu<T>(const T*, const T*, const T*, T*, T*,            \
                                                std::int64_t, std::int64_t, std::int64_t,        \
                                                std::int64_t, double, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
