// Where an element of a batch lies, by its index in memory order.
//
// GPUs divide 64-bit integers in software, in some hundred instructions. Most batches are small
// enough for 32 bits.
#pragma once

#include <cstdint>

#include "common/macros.h"

namespace pgnface {

// Which item of a batch, and which of its elements.
struct BatchIndex {
  std::int64_t item, element;
};

// For index >= 0 and items of count > 0 elements.
PGNFACE_HD BatchIndex batch_index(std::int64_t index, std::int64_t count) {
  if (((index | count) >> 32) == 0) {
    const std::uint32_t item =
        static_cast<std::uint32_t>(index) / static_cast<std::uint32_t>(count);
    return {item, static_cast<std::uint32_t>(index) - item * static_cast<std::uint32_t>(count)};
  }
  const std::int64_t item = index / count;
  return {item, index - item * count};
}

struct Pixel {
  std::int64_t image, row, column;
};

PGNFACE_HD Pixel pixel_at(std::int64_t index, std::int64_t height, std::int64_t width) {
  const BatchIndex in_row = batch_index(index, width);
  const BatchIndex in_image = batch_index(in_row.item, height);
  return {in_image.item, in_image.element, in_row.element};
}

}  // namespace pgnface
