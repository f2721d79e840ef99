// The CPU kernels for a single item, for which each value of the basis serves once: what counts is
// how fast memory is read.
#pragma once

#include <cstdint>

namespace pgnface {

// Vertices that a thread works on at a time: pieces of rows long enough for the processor to fetch
// ahead.
constexpr std::int64_t kStreamed = 2048;

// out[j] += sum_p factors[p] * basis[p * row + j] for `count` rows and `size` columns.
template <typename T, typename B>
void add_rows(const B* basis, std::int64_t row, const T* factors, std::int64_t count,
              std::int64_t size, T* out);

// sums[p] += sum_j basis[p * row + j] * values[j].
template <typename T, typename B>
void dot_rows(const B* basis, std::int64_t row, const T* values, std::int64_t count,
              std::int64_t size, T* sums);

// out = scale * rotation @ shape + translation for vertices of `size` coordinates in all.
template <typename T>
void pose_block(const T* shape, T scale, const T* rotation, const T* translation, std::int64_t size,
                T* out);

// The gradients by the shape, and the sums that pose_gradients takes with the posed vertices less
// the translation in place of the shape.
template <typename T>
void unpose_block(const T* grad, const T* posed, T scale, const T* rotation, const T* translation,
                  std::int64_t size, T* out, T* sums);

}  // namespace pgnface
