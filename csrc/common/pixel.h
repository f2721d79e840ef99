// Where a pixel of a batch of images lies, by its index in memory order.
#pragma once

#include <cstdint>

#include "common/macros.h"

namespace pgnface {

// quotient and remainder for a >= 0, b > 0. GPUs divide 64-bit integers in software, in some
// hundred instructions; most images are small enough for 32 bits.
PGNFACE_HD void divide(std::int64_t a, std::int64_t b, std::int64_t* quotient,
                       std::int64_t* remainder) {
  if (((a | b) >> 32) == 0) {
    const std::uint32_t q = static_cast<std::uint32_t>(a) / static_cast<std::uint32_t>(b);
    *quotient = q;
    *remainder = static_cast<std::uint32_t>(a) - q * static_cast<std::uint32_t>(b);
  } else {
    *quotient = a / b;
    *remainder = a - *quotient * b;
  }
}

struct Pixel {
  std::int64_t image, row, column;
};

PGNFACE_HD Pixel pixel_at(std::int64_t index, std::int64_t height, std::int64_t width) {
  Pixel pixel;
  std::int64_t rows;
  divide(index, width, &rows, &pixel.column);
  divide(rows, height, &pixel.image, &pixel.row);
  return pixel;
}

}  // namespace pgnface
