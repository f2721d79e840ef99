// Sums over pixels into shared targets, in an order that the number of threads does not change.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/parallel.h"

namespace pgnface {

// Calls body(image, row_begin, row_end, target) so that all rows of all images are visited; body
// adds to `size` values at `target`, which is zeroed before and ends as the sum in `sums` (batch,
// size). With a small batch the rows of an image are cut into bands with a copy of the target each;
// the cut depends on the problem alone.
template <typename T, typename Body>
void scatter_by_rows(T* sums, std::int64_t batch, std::int64_t size, std::int64_t height,
                     int threads, const Body& body) {
  const std::int64_t bands = batch >= 4 ? 1 : std::min<std::int64_t>(3, height);
  const std::int64_t rows = bands > 0 ? (height + bands - 1) / bands : 0;
  std::vector<T> copies(
      static_cast<std::size_t>(std::max<std::int64_t>(bands - 1, 0) * batch * size));
  parallel_for(batch * bands, 1, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t image = i / bands, band = i % bands;
      T* target = (band == 0 ? sums : copies.data() + (band - 1) * batch * size) + image * size;
      body(image, band * rows, std::min(band * rows + rows, height), target);
    }
  });
  parallel_for(bands > 1 ? batch * size : 0, 1 << 14, threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t band = 1; band < bands; ++band) {
                   const T* copy = copies.data() + (band - 1) * batch * size;
                   for (std::int64_t i = begin; i < end; ++i) sums[i] += copy[i];
                 }
               });
}

}  // namespace pgnface
