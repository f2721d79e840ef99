#include <algorithm>
#include <vector>

#include "common/parallel.h"
#include "common/simd.h"
#include "evaluate_morphable/evaluate_morphable.h"
#include "evaluate_morphable/products_cpu.h"

namespace pgnface {
namespace {

constexpr std::int64_t kItems = 8;        // batch items worked on at a time
constexpr std::int64_t kVertices = 256;   // the most in a tile; tiles divide it
constexpr std::int64_t kStreamed = 1024;  // vertices at a time for a single item
constexpr std::int64_t kStripVertices = kStripColumns<double> / 3 * 2;

// Vertices of a tile: of so many that its slice of the basis stays in the L2 cache while the batch
// goes over it, and a slice of one row is long enough for the processor to fetch ahead.
std::int64_t tile_vertices(std::int64_t count) {
  constexpr std::int64_t kCoordinates = 120 * 1024;
  std::int64_t vertices = kVertices;
  while (vertices > kStripVertices && 3 * vertices * count > kCoordinates) vertices /= 2;
  return vertices;
}

// Columns [begin, begin + size) of the flattened (count, 3 * vertices) basis.
struct Block {
  std::int64_t begin, size;
};

// Memory of this thread, kept from call to call: fresh memory of this size costs page faults.
template <typename T>
T* scratch(std::int64_t size) {
  struct alignas(64) Line {
    T values[64 / sizeof(T)];
  };
  thread_local std::vector<Line> memory;
  const std::size_t lines = (size * sizeof(T) + sizeof(Line) - 1) / sizeof(Line);
  if (memory.size() < lines) memory.resize(lines);
  return memory.data()->values;
}

template <typename T, typename B>
PGNFACE_CLONES void convert_row(const B* __restrict from, std::int64_t size, T* __restrict to) {
  for (std::int64_t j = 0; j < size; ++j) to[j] = static_cast<T>(from[j]);
}

template <typename T>
void copy_rows(const T* from, std::int64_t from_row, std::int64_t count, std::int64_t size, T* to,
               std::int64_t to_row) {
  for (std::int64_t i = 0; i < count; ++i) {
    std::copy(from + i * from_row, from + i * from_row + size, to + i * to_row);
  }
}

// The slices of basis and mean for one block of vertices, and twice room for kItems rows of values
// there, side by side in the cache, padded with zeros to whole strips.
template <typename T>
struct Tile {
  // An odd number of cache lines, so that the rows spread over all sets of the cache.
  static constexpr std::int64_t kRow = 3 * kVertices + 64 / sizeof(T);

  explicit Tile(std::int64_t count)
      : count(count), rows(scratch<T>((count + 1 + 2 * kItems) * kRow)) {}

  T* mean() const { return rows + count * kRow; }
  T* values() const { return mean() + kRow; }
  T* sums() const { return values() + kItems * kRow; }

  template <typename B>
  void load(const T* mean_values, const B* basis, std::int64_t row, Block block) {
    for (std::int64_t p = 0; p < count; ++p) load_row(basis + p * row, block, rows + p * kRow);
    load_row(mean_values, block, mean());
    size = block.size;
  }

  template <typename B>
  static void load_row(const B* from, Block block, T* to) {
    convert_row(from + block.begin, block.size, to);
    std::fill(to + block.size, to + padded(block.size), T(0));
  }

  static std::int64_t padded(std::int64_t size) {
    return (size + kStripColumns<T> - 1) / kStripColumns<T> * kStripColumns<T>;
  }

  // values() = the unposed coordinates of `items` items.
  void shape(const T* coefficients, std::int64_t items) const {
    combine_rows(rows, kRow, coefficients, count, 1, count, mean(), 0, values(), kRow, items, size);
  }

  std::int64_t count, size = 0;
  T* rows;
};

template <typename T>
PGNFACE_CLONES void pose_block(const T* __restrict shape, T scale, const T* __restrict rotation,
                               const T* __restrict translation, std::int64_t size,
                               T* __restrict out) {
  for (std::int64_t j = 0; j < size; j += 3) {
    for (int i = 0; i < 3; ++i) {
      out[j + i] = pose_coordinate(shape + j, scale, rotation + 3 * i, translation[i]);
    }
  }
}

template <typename T>
PGNFACE_CLONES void unpose_block(const T* __restrict grad, T scale, const T* __restrict rotation,
                                 std::int64_t size, T* __restrict out) {
  for (std::int64_t j = 0; j < size; j += 3) {
    for (int i = 0; i < 3; ++i) out[j + i] = unpose_coordinate(grad + j, scale, rotation, i);
  }
}

template <typename T>
PGNFACE_CLONES void add_pose_sums(const T* __restrict grad, const T* __restrict shape,
                                  std::int64_t size, T* __restrict sums) {
  T s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0, s8 = 0, g0 = 0, g1 = 0, g2 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3, s4, s5, s6, s7, s8, g0, g1, g2)
  for (std::int64_t v = 0; v < size / 3; ++v) {
    const T *g = grad + 3 * v, *x = shape + 3 * v;
    s0 += g[0] * x[0], s1 += g[0] * x[1], s2 += g[0] * x[2], g0 += g[0];
    s3 += g[1] * x[0], s4 += g[1] * x[1], s5 += g[1] * x[2], g1 += g[1];
    s6 += g[2] * x[0], s7 += g[2] * x[1], s8 += g[2] * x[2], g2 += g[2];
  }
  const T totals[kPoseSums] = {s0, s1, s2, s3, s4, s5, s6, s7, s8, g0, g1, g2};
  for (int i = 0; i < kPoseSums; ++i) sums[i] += totals[i];
}

// out[j] += sum of 8 products; rows past the last repeat it with a factor of zero.
template <typename T, typename B>
PGNFACE_CLONES void add_rows(const B* __restrict rows, std::int64_t row,
                             const T* __restrict factors, std::int64_t count, T* __restrict out,
                             std::int64_t size) {
  const B* b[8];
  T f[8];
  for (int k = 0; k < 8; ++k) {
    b[k] = rows + (k < count ? k : count - 1) * row;
    f[k] = k < count ? factors[k] : T(0);
  }
  const B *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3], *b4 = b[4], *b5 = b[5], *b6 = b[6],
          *b7 = b[7];
  constexpr std::int64_t kLine = 64 / sizeof(B);
  for (std::int64_t begin = 0; begin < size; begin += kLine) {
    // The processor does not fetch ahead across so many rows of so many pages on its own.
    for (int k = 0; k < 8; ++k) __builtin_prefetch(b[k] + begin + 8 * kLine);
    const std::int64_t end = std::min(size, begin + kLine);
    for (std::int64_t j = begin; j < end; ++j) {
      out[j] += ((f[0] * b0[j] + f[1] * b1[j]) + (f[2] * b2[j] + f[3] * b3[j])) +
                ((f[4] * b4[j] + f[5] * b5[j]) + (f[6] * b6[j] + f[7] * b7[j]));
    }
  }
}

}  // namespace

template <typename T, typename B>
void evaluate_morphable_forward_cpu(const T* mean, const B* basis, const T* coefficients,
                                    const T* scale, const T* rotation, const T* translation,
                                    T* output, std::int64_t batch, std::int64_t vertices,
                                    std::int64_t count, const Context& context) {
  const std::int64_t row = 3 * vertices;
  const auto store = [&](const T* shape, std::int64_t n, Block block) {
    T* out = output + n * row + block.begin;
    if (scale) {
      pose_block(shape, scale[n], rotation + 9 * n, translation + 3 * n, block.size, out);
    } else {
      std::copy(shape, shape + block.size, out);
    }
  };
  const auto one_item = [&](Block block) {  // each value of the basis serves once: no tile
    T shape[3 * kStreamed];
    std::copy(mean + block.begin, mean + block.begin + block.size, shape);
    for (std::int64_t p = 0; p < count; p += 8) {
      add_rows(basis + p * row + block.begin, row, coefficients + p, count - p, shape, block.size);
    }
    store(shape, 0, block);
  };
  const std::int64_t grain = batch == 1 ? kStreamed : tile_vertices(count);
  parallel_for(vertices, grain, context.threads, [&](std::int64_t first, std::int64_t last) {
    const Block block{3 * first, 3 * (last - first)};
    if (batch == 1) return one_item(block);
    Tile<T> tile(count);
    tile.load(mean, basis, row, block);
    for (std::int64_t n = 0; n < batch; n += kItems) {
      const std::int64_t items = std::min(kItems, batch - n);
      tile.shape(coefficients + n * count, items);
      for (std::int64_t i = 0; i < items; ++i) store(tile.values() + i * tile.kRow, n + i, block);
    }
  });
}

template <typename T, typename B>
void evaluate_morphable_backward_cpu(const T* grad, const T* mean, const B* basis,
                                     const T* coefficients, const T* scale, const T* rotation,
                                     T* grad_mean, T* grad_basis, T* grad_coefficients,
                                     T* grad_scale, T* grad_rotation, T* grad_translation,
                                     T* partial, std::int64_t batch, std::int64_t vertices,
                                     std::int64_t count, std::int64_t chunk,
                                     const Context& context) {
  const std::int64_t row = 3 * vertices, sums_row = count + kPoseSums;
  const std::int64_t chunks = (vertices + chunk - 1) / chunk;
  std::fill(partial, partial + chunks * batch * sums_row, T(0));

  // One tile and the items n ... n + items - 1.
  const auto work = [&](const Tile<T>& tile, Block block, std::int64_t n, std::int64_t items,
                        T* sums) {
    T* grads = tile.values();  // by the shape; before, the shape itself
    if (scale) tile.shape(coefficients + n * count, items);
    for (std::int64_t i = 0; i < items; ++i) {
      const T* given = grad + (n + i) * row + block.begin;
      T* values = grads + i * tile.kRow;
      if (scale) {
        add_pose_sums(given, values, block.size, sums + i * sums_row + count);
        unpose_block(given, scale[n + i], rotation + 9 * (n + i), block.size, values);
      } else {
        std::copy(given, given + block.size, values);
      }
      std::fill(values + block.size, values + tile.padded(block.size), T(0));
    }
    if (grad_coefficients) {
      dot_rows(grads, tile.kRow, items, tile.rows, tile.kRow, count, block.size, sums, sums_row);
    }
    if (grad_basis) {
      for (std::int64_t p = 0; p < count; p += kItems) {
        const std::int64_t size = std::min(kItems, count - p);
        T* target = grad_basis + p * row + block.begin;
        copy_rows(target, row, size, block.size, tile.sums(), tile.kRow);
        combine_rows(grads, tile.kRow, coefficients + n * count + p, 1, count, items, tile.sums(),
                     tile.kRow, tile.sums(), tile.kRow, size, block.size);
        copy_rows(tile.sums(), tile.kRow, size, block.size, target, row);
      }
    }
    for (std::int64_t i = 0; grad_mean && i < items; ++i) {
      for (std::int64_t j = 0; j < block.size; ++j) {
        grad_mean[block.begin + j] += grads[i * tile.kRow + j];
      }
    }
  };

  const std::int64_t step = tile_vertices(count);
  parallel_for(vertices, chunk, context.threads, [&](std::int64_t begin, std::int64_t end) {
    Tile<T> tile(count);
    T* sums = partial + begin / chunk * batch * sums_row;
    for (std::int64_t v = begin; v < end; v += step) {
      const Block block{3 * v, 3 * (std::min(v + step, end) - v)};
      if (scale || grad_coefficients) tile.load(mean, basis, row, block);
      for (std::int64_t n = 0; n < batch; n += kItems) {
        work(tile, block, n, std::min(kItems, batch - n), sums + n * sums_row);
      }
    }
  });

  parallel_for(batch, 1, context.threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      for (std::int64_t i = 0; i < sums_row; ++i) {
        T total = 0;
        for (std::int64_t c = 0; c < chunks; ++c) total += partial[(c * batch + n) * sums_row + i];
        partial[n * sums_row + i] = total;
        if (grad_coefficients && i < count) grad_coefficients[n * count + i] = total;
      }
      if (scale) {
        pose_gradients(partial + n * sums_row + count, scale[n], rotation + 9 * n, grad_scale + n,
                       grad_rotation + 9 * n, grad_translation + 3 * n);
      }
    }
  });
}

#define PGNFACE_INSTANTIATE(T, B)                                                                 \
  template void evaluate_morphable_forward_cpu<T, B>(const T*, const B*, const T*, const T*,      \
                                                     const T*, const T*, T*, std::int64_t,        \
                                                     std::int64_t, std::int64_t, const Context&); \
  template void evaluate_morphable_backward_cpu<T, B>(                                            \
      const T*, const T*, const B*, const T*, const T*, const T*, T*, T*, T*, T*, T*, T*, T*,     \
      std::int64_t, std::int64_t, std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float, float)
PGNFACE_INSTANTIATE(float, std::int16_t)
PGNFACE_INSTANTIATE(double, double)
PGNFACE_INSTANTIATE(double, std::int16_t)

}  // namespace pgnface
