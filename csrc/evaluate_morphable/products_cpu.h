// Matrix products of a block of rows that lies in the cache: the arithmetic of evaluate_morphable.
#pragma once

#include <cstdint>

namespace pgnface {

// Rows must be readable up to `size` rounded up to this many columns, and outputs writable: the
// loops take whole vectors. What lies past `size` does not change what lies before.
template <typename T>
constexpr std::int64_t kStripColumns = 3 * 64 / sizeof(T);

// out[i][j] = start[i][j] + sum_p factors[i * factor_row + p * factor_step] * rows[p][j] for
// `outputs` rows i, `count` rows p and `size` columns j. The strides are in elements.
template <typename T>
void combine_rows(const T* rows, std::int64_t row, const T* factors, std::int64_t factor_row,
                  std::int64_t factor_step, std::int64_t count, const T* start,
                  std::int64_t start_row, T* out, std::int64_t out_row, std::int64_t outputs,
                  std::int64_t size);

// sums[i * sums_row + p] += vectors[i] . rows[p] for `items` vectors and `count` rows. Here the
// columns past `size` must hold zeros, of the vectors and of the rows.
template <typename T>
void dot_rows(const T* vectors, std::int64_t vector_row, std::int64_t items, const T* rows,
              std::int64_t row, std::int64_t count, std::int64_t size, T* sums,
              std::int64_t sums_row);

}  // namespace pgnface
