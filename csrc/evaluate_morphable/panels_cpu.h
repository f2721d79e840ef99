// The arithmetic of evaluate_morphable on the CPU: operations on a panel, which is a few vertices'
// slice of the basis, small enough for the L1 cache while a group of batch items goes over it.
#pragma once

#include <cstdint>

#include "common/prefetch.h"
#include "evaluate_morphable/evaluate_morphable.h"

namespace pgnface {

// Columns of a panel: the coordinates of as many vertices as a 64-byte vector has lanes.
template <typename T>
constexpr std::int64_t kPanel = 3 * 64 / sizeof(T);

// Most batch items of a group, a multiple of the lanes of a 64-byte vector.
template <typename T>
constexpr std::int64_t kGroup = 2 * 64 / sizeof(T);

// Memory to ask for: 256 bytes of each of `count` rows, half a row a step.
class Prefetches {
 public:
  Prefetches() = default;
  Prefetches(const void* first, std::int64_t row_bytes, std::int64_t count)
      : next_(static_cast<const char*>(first)), row_(row_bytes), left_(2 * count) {}

  PGNFACE_HD void step() {
    if (left_ == 0) return;
    prefetch(next_);
    prefetch(next_ + 64);
    next_ += --left_ % 2 == 1 ? 128 : row_ - 128;
  }

  void finish() {
    while (left_ > 0) step();
  }

 private:
  const char* next_ = nullptr;
  std::int64_t row_ = 0, left_ = 0;
};

template <typename T>
struct Panels {
  // out[i][j] += sum_p factors[i * factor_row + p * factor_step] * rows[p][j] for `outputs` (a
  // multiple of 4) rows, `count` terms and `columns` (whole 64-byte vectors). Strides in elements.
  // With a single 64-byte vector of columns, where memory is slower than the arithmetic, `ahead`
  // (unless null) is asked for meanwhile, as far as that goes.
  using Products = void (*)(const T* rows, std::int64_t row, const T* factors,
                            std::int64_t factor_step, std::int64_t count, T* out,
                            std::int64_t out_row, std::int64_t outputs, std::int64_t columns,
                            Prefetches* ahead);
  Products add_products;            // with factor_row = 1
  Products add_products_of_panels;  // with factor_row = kPanel

  // to[j][i] = from[i][j]; rows and columns are whole 64-byte vectors.
  void (*transpose)(const T* from, std::int64_t from_row, T* to, std::int64_t to_row,
                    std::int64_t rows, std::int64_t columns);

  // out = matrix @ shape + translation for the vertices of a panel.
  void (*pose)(const T* shape, const T* matrix, const T* translation, T* out);

  // values (kPanel) -= translations (3), both [...][kGroup] with items across the lanes.
  void (*subtract_translations)(const T* translations, std::int64_t items, T* values);

  // With items across the lanes, all arrays [...][kGroup]: adds to the `sums` (kPoseSums) that
  // pose_gradients takes, and turns the gradients (kPanel) by the posed vertices into those by the
  // shape (kPanel): matrix^T @ gradient, matrices (9).
  void (*unpose)(const T* shape, const T* matrices, std::int64_t items, T* grads, T* sums);
};

// The operations for this processor.
template <typename T>
const Panels<T>& panels();

}  // namespace pgnface
