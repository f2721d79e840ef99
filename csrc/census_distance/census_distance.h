// How differently two images order the brightness of neighbouring pixels.
//
//   image, target  (batch, height, width) brightness
//   mask           (batch, height, width), or null: where it is not positive, nothing is compared
//   distance       (batch, height, width)
//
// A pixel is described by the signs of its differences d to the others in a window of side
// 2 radius + 1 (Zabih and Woodfill, ECCV 1994), made smooth: s(d) = d / sqrt(contrast^2 + d^2).
// The distance is the mean over the window of e^2 / (0.1 + e^2), e = s(d_image) - s(d_target)
// (Meister et al., UnFlow, AAAI 2018). It is 0 where the window leaves the image.
//
// The difference from p to q is minus that from q to p. So the gradient of a pixel takes no
// scattering: it sees as a neighbour the same terms that it sees as a centre.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/context.h"
#include "common/macros.h"

namespace pgnface {

template <typename T>
struct CensusScale {
  T contrast_squared;
  static constexpr T kSoftness = T(0.1);

  PGNFACE_HD T sign(T difference) const {
    return difference / std::sqrt(contrast_squared + difference * difference);
  }
  PGNFACE_HD T slope(T difference) const {
    const T square = contrast_squared + difference * difference;
    return contrast_squared / (square * std::sqrt(square));
  }
  // What one neighbour adds, before the mean.
  PGNFACE_HD T term(T image_difference, T target_difference) const {
    const T e = sign(image_difference) - sign(target_difference);
    return e * e / (kSoftness + e * e);
  }
  // Its derivative by e. That by the image's difference has the factor slope(image_difference),
  // that by the target's -slope(target_difference).
  PGNFACE_HD T term_slope(T image_difference, T target_difference) const {
    const T e = sign(image_difference) - sign(target_difference);
    const T softened = kSoftness + e * e;
    return 2 * kSoftness * e / (softened * softened);
  }
};

struct CensusShape {
  std::int64_t batch, height, width, radius;

  PGNFACE_HD std::int64_t neighbours() const { return (2 * radius + 1) * (2 * radius + 1) - 1; }
};

// grad_distance must be zero where nothing is compared. grad_target may be null.
#define PGNFACE_DECLARE(device)                                                                   \
  template <typename T>                                                                           \
  void census_distance_forward_##device(const T* image, const T* target, const T* mask,           \
                                        T* distance, std::int64_t batch, std::int64_t height,     \
                                        std::int64_t width, std::int64_t radius, double contrast, \
                                        const Context& context);                                  \
  template <typename T>                                                                           \
  void census_distance_backward_##device(                                                         \
      const T* grad_distance, const T* image, const T* target, T* grad_image, T* grad_target,     \
      std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t radius,           \
      double contrast, const Context& context);
PGNFACE_DECLARE(cpu)
PGNFACE_DECLARE(cuda)
#undef PGNFACE_DECLARE

}  // namespace pgnface
