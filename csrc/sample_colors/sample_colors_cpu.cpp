#include <algorithm>

#include "common/channels.h"
#include "common/parallel.h"
#include "common/prefetch.h"
#include "common/scatter.h"
#include "common/simd.h"
#include "sample_colors/sample_colors.h"

namespace pgnface {
namespace {

constexpr std::int64_t kPoints = 64;

// The taps of a few points, in arrays that vector instructions fill.
template <typename T>
struct Taps {
  std::int32_t x[kPoints], y[kPoints];
  T fx[kPoints], fy[kPoints], dfx[kPoints], dfy[kPoints];
  std::int32_t valid[kPoints];

  BilinearTap<T> operator[](std::int64_t i) const {
    return {x[i], y[i], fx[i], fy[i], dfx[i], dfy[i], valid[i] != 0};
  }
};

template <typename T>
PGNFACE_CLONES void find_taps(const T* points, std::int64_t count, std::int64_t stride,
                              std::int32_t height, std::int32_t width, Taps<T>& taps) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const BilinearTap<T> tap =
        bilinear_tap(points[i * stride], points[i * stride + 1], height, width);
    taps.x[i] = tap.x, taps.y[i] = tap.y, taps.valid[i] = tap.valid;
    taps.fx[i] = tap.fx, taps.fy[i] = tap.fy, taps.dfx[i] = tap.dfx, taps.dfy[i] = tap.dfy;
  }
}

// Calls body(point, tap) for points [begin, end) of an image.
template <typename T, typename Body>
void for_each_tap(const T* points, std::int64_t begin, std::int64_t end, std::int64_t stride,
                  std::int64_t height, std::int64_t width, const Body& body) {
  Taps<T> taps;
  for (std::int64_t start = begin; start < end; start += kPoints) {
    const std::int64_t count = std::min(kPoints, end - start);
    find_taps(points + start * stride, count, stride, static_cast<std::int32_t>(height),
              static_cast<std::int32_t>(width), taps);
    for (std::int64_t i = 0; i < count; ++i) body(start + i, taps[i]);
  }
}

}  // namespace

template <typename T>
void sample_colors_forward_cpu(const T* image, const T* points, T* colors, std::int64_t batch,
                               std::int64_t channels, std::int64_t height, std::int64_t width,
                               std::int64_t count, std::int64_t stride, const Context& context) {
  const std::int64_t chunk = 4096, chunks = (count + chunk - 1) / chunk;  // of an image
  with_channels(channels, [&](auto known) {
    parallel_for(batch * chunks, 1, context.threads, [&](std::int64_t i, std::int64_t) {
      const std::int64_t n = i / chunks, begin = i % chunks * chunk;
      const T* own = image + n * channels * height * width;
      T* target = colors + n * count * channels;
      for_each_tap(points + n * count * stride, begin, std::min(begin + chunk, count), stride,
                   height, width, [&](std::int64_t k, const BilinearTap<T>& tap) {
                     sample_color<known()>(own, tap, target + k * channels, channels, height,
                                           width);
                   });
    });
  });
}

template <typename T>
void sample_colors_backward_cpu(const T* grad_colors, const T* image, const T* points,
                                T* grad_image, T* grad_points, std::int64_t* /*workspace*/,
                                std::int64_t batch, std::int64_t channels, std::int64_t height,
                                std::int64_t width, std::int64_t count, std::int64_t stride,
                                const Context& context) {
  const std::int64_t size = grad_image ? channels * height * width : 0;
  with_channels(channels, [&](auto known) {
    scatter_in_bands(grad_image, batch, size, count, context.threads,
                     [&](std::int64_t n, std::int64_t begin, std::int64_t end, T* target) {
                       const T* own = image + n * channels * height * width;
                       for_each_tap(points + n * count * stride, begin, end, stride, height, width,
                                    [&](std::int64_t k, const BilinearTap<T>& tap) {
                                      const std::int64_t point = n * count + k;
                                      sample_color_backward<known()>(
                                          grad_colors + point * channels, own, tap,
                                          grad_points ? grad_points + point * stride : nullptr,
                                          channels, height, width, stride,
                                          [=](std::int64_t offset, T term) {
                                            if (size > 0) target[offset] += term;
                                          });
                                    });
                     });
  });
}

#define PGNFACE_INSTANTIATE(T)                                                                   \
  template void sample_colors_forward_cpu<T>(const T*, const T*, T*, std::int64_t, std::int64_t, \
                                             std::int64_t, std::int64_t, std::int64_t,           \
                                             std::int64_t, const Context&);                      \
  template void sample_colors_backward_cpu<T>(                                                   \
      const T*, const T*, const T*, T*, T*, std::int64_t*, std::int64_t, std::int64_t,           \
      std::int64_t, std::int64_t, std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
