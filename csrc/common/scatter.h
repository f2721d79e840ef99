// Sums into shared targets, in an order that the number of threads does not change.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "common/parallel.h"

namespace pgnface {

struct Nothing {
  void operator()(std::int64_t, std::int64_t) const {}
};

// Calls body(item, begin, end, target) so that all of [0, count) is visited for each item of the
// batch; body adds to `size` values at `target`, which are zero before. `sums` (batch, size) need
// not be set and ends as the sums. The range of a single item is cut into two bands, one of which
// adds to a copy; the cut depends on the problem alone. With size 0, nothing is summed.
// finish(begin, end) is called on ranges of the finished sums while they are in the cache; they
// begin at multiples of 3.
template <typename T, typename Body, typename Finish = Nothing>
void scatter_in_bands(T* sums, std::int64_t batch, std::int64_t size, std::int64_t count,
                      int threads, const Body& body, const Finish& finish = {}) {
  const std::int64_t wanted = size > 0 ? 2 : 64;
  const std::int64_t bands = std::max<std::int64_t>(wanted / std::max<std::int64_t>(batch, 1), 1);
  const std::int64_t step = (count + bands - 1) / bands;
  const std::unique_ptr<T[]> copies(new T[(bands - 1) * batch * size]);
  parallel_for(batch * bands, 1, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t item = i / bands, band = i % bands;
      T* target = (band == 0 ? sums : copies.get() + (band - 1) * batch * size) + item * size;
      std::fill_n(target, size, T(0));
      body(item, std::min(band * step, count), std::min(band * step + step, count), target);
      if (bands == 1) finish(item * size, item * size + size);
    }
  });
  if (bands == 1) return;
  parallel_for(batch * size, 3 << 12, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t band = 1; band < bands; ++band) {
      const T* copy = copies.get() + (band - 1) * batch * size;
      for (std::int64_t i = begin; i < end; ++i) sums[i] += copy[i];
    }
    finish(begin, end);
  });
}

}  // namespace pgnface
