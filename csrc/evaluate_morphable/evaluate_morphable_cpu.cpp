#include <algorithm>

#include "common/parallel.h"
#include "common/simd.h"
#include "evaluate_morphable/evaluate_morphable.h"

namespace pgnface {
namespace {

// A block of vertices: in float32 its slice of a hundred basis rows fits the L2 cache, and a slice
// of one row is long enough for the processor to fetch ahead.
constexpr std::int64_t kVertices = 256;
constexpr std::int64_t kColumns = 3 * kVertices;
constexpr int kItems = 4;  // batch items that use a basis value while it is in a register

// A block of columns [begin, begin + size) of the flattened (count, 3 * vertices) basis.
struct Block {
  std::int64_t begin, size;
};

// out[i] += sum_p factors[i * factor_row + p * factor_step] * rows[p] for kCount outputs. Four rows
// at a time, so that an output is loaded and stored once for four products.
template <int kCount, typename T>
PGNFACE_CLONES void add_rows(const T* __restrict rows, std::int64_t row,
                             const T* __restrict factors, std::int64_t factor_row,
                             std::int64_t factor_step, std::int64_t count, T* __restrict out,
                             std::int64_t out_row, std::int64_t size) {
  std::int64_t p = 0;
  for (; p + 4 <= count; p += 4) {
    const T *b0 = rows + p * row, *b1 = b0 + row, *b2 = b1 + row, *b3 = b2 + row;
    T c[kCount][4];
    for (int i = 0; i < kCount; ++i) {
      for (int k = 0; k < 4; ++k) c[i][k] = factors[i * factor_row + (p + k) * factor_step];
    }
    for (std::int64_t j = 0; j < size; ++j) {
      const T v0 = b0[j], v1 = b1[j], v2 = b2[j], v3 = b3[j];
      for (int i = 0; i < kCount; ++i) {
        out[i * out_row + j] += (c[i][0] * v0 + c[i][1] * v1) + (c[i][2] * v2 + c[i][3] * v3);
      }
    }
  }
  for (; p < count; ++p) {
    for (int i = 0; i < kCount; ++i) {
      const T c = factors[i * factor_row + p * factor_step];
      for (std::int64_t j = 0; j < size; ++j) out[i * out_row + j] += c * rows[p * row + j];
    }
  }
}

// add_rows for any number of outputs.
template <typename T>
void add_rows_to(const T* rows, std::int64_t row, const T* factors, std::int64_t factor_row,
                 std::int64_t factor_step, std::int64_t count, T* out, std::int64_t out_row,
                 std::int64_t outputs, std::int64_t size) {
  std::int64_t i = 0;
  for (; i + kItems <= outputs; i += kItems) {
    add_rows<kItems>(rows, row, factors + i * factor_row, factor_row, factor_step, count,
                     out + i * out_row, out_row, size);
  }
  for (; i < outputs; ++i) {
    add_rows<1>(rows, row, factors + i * factor_row, factor_row, factor_step, count,
                out + i * out_row, out_row, size);
  }
}

// Products of kCount (1 or 2) vectors with four rows, added to sums[i * sums_row + 0 ... 3].
template <int kCount, typename T>
PGNFACE_CLONES void add_dots(const T* __restrict vectors, std::int64_t vector_row,
                             const T* __restrict rows, std::int64_t row, std::int64_t size,
                             T* __restrict sums, std::int64_t sums_row) {
  const T *b0 = rows, *b1 = b0 + row, *b2 = b1 + row, *b3 = b2 + row;
  const T *x = vectors, *y = vectors + (kCount - 1) * vector_row;
  T x0 = 0, x1 = 0, x2 = 0, x3 = 0, y0 = 0, y1 = 0, y2 = 0, y3 = 0;
#pragma omp simd reduction(+ : x0, x1, x2, x3, y0, y1, y2, y3)
  for (std::int64_t j = 0; j < size; ++j) {
    x0 += x[j] * b0[j], x1 += x[j] * b1[j], x2 += x[j] * b2[j], x3 += x[j] * b3[j];
    if (kCount == 1) continue;
    y0 += y[j] * b0[j], y1 += y[j] * b1[j], y2 += y[j] * b2[j], y3 += y[j] * b3[j];
  }
  sums[0] += x0, sums[1] += x1, sums[2] += x2, sums[3] += x3;
  if (kCount == 1) return;
  sums += sums_row;
  sums[0] += y0, sums[1] += y1, sums[2] += y2, sums[3] += y3;
}

template <typename T>
PGNFACE_CLONES void add_dot(const T* __restrict a, const T* __restrict b, std::int64_t size,
                            T* __restrict sum) {
  T total = 0;
#pragma omp simd reduction(+ : total)
  for (std::int64_t j = 0; j < size; ++j) total += a[j] * b[j];
  *sum += total;
}

// sums[i * sums_row + p] += vectors[i] . rows[p]
template <typename T>
void add_products(const T* vectors, std::int64_t vector_row, std::int64_t items, const T* rows,
                  std::int64_t row, std::int64_t count, std::int64_t size, T* sums,
                  std::int64_t sums_row) {
  for (std::int64_t i = 0; i < items; i += 2) {
    const T* x = vectors + i * vector_row;
    T* sum = sums + i * sums_row;
    const bool two = i + 1 < items;
    std::int64_t p = 0;
    for (; p + 4 <= count; p += 4) {
      if (two) {
        add_dots<2>(x, vector_row, rows + p * row, row, size, sum + p, sums_row);
      } else {
        add_dots<1>(x, vector_row, rows + p * row, row, size, sum + p, sums_row);
      }
    }
    for (; p < count; ++p) {
      add_dot(x, rows + p * row, size, sum + p);
      if (two) add_dot(x + vector_row, rows + p * row, size, sum + sums_row + p);
    }
  }
}

// Unposed coordinates of a block for `items` items.
template <typename T>
void shape_block(const T* mean, const T* basis, const T* coefficients, Block block,
                 std::int64_t row, std::int64_t count, std::int64_t items, T* out,
                 std::int64_t out_row) {
  for (std::int64_t i = 0; i < items; ++i) {
    std::copy(mean + block.begin, mean + block.begin + block.size, out + i * out_row);
  }
  add_rows_to(basis + block.begin, row, coefficients, count, 1, count, out, out_row, items,
              block.size);
}

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
void add_pose_sums(const T* grad, const T* shape, std::int64_t size, T* sums) {
  T local[kPoseSums] = {};
  for (std::int64_t j = 0; j < size; j += 3) {
    for (int i = 0; i < 3; ++i) {
      for (int k = 0; k < 3; ++k) local[3 * i + k] += grad[j + i] * shape[j + k];
      local[9 + i] += grad[j + i];
    }
  }
  for (int i = 0; i < kPoseSums; ++i) sums[i] += local[i];
}

}  // namespace

template <typename T>
void evaluate_morphable_forward_cpu(const T* mean, const T* basis, const T* coefficients,
                                    const T* scale, const T* rotation, const T* translation,
                                    T* output, std::int64_t batch, std::int64_t vertices,
                                    std::int64_t count, const Context& context) {
  const std::int64_t row = 3 * vertices;
  parallel_for(vertices, kVertices, context.threads, [&](std::int64_t first, std::int64_t last) {
    const Block block{3 * first, 3 * (last - first)};
    if (!scale) {
      shape_block(mean, basis, coefficients, block, row, count, batch, output + block.begin, row);
      return;
    }
    T shapes[kItems * kColumns];
    for (std::int64_t n = 0; n < batch; n += kItems) {
      const std::int64_t items = std::min<std::int64_t>(kItems, batch - n);
      shape_block(mean, basis, coefficients + n * count, block, row, count, items, shapes,
                  kColumns);
      for (std::int64_t i = 0; i < items; ++i) {
        pose_block(shapes + i * kColumns, scale[n + i], rotation + 9 * (n + i),
                   translation + 3 * (n + i), block.size, output + (n + i) * row + block.begin);
      }
    }
  });
}

template <typename T>
void evaluate_morphable_backward_cpu(const T* grad, const T* mean, const T* basis,
                                     const T* coefficients, const T* scale, const T* rotation,
                                     T* grad_mean, T* grad_basis, T* grad_coefficients,
                                     T* grad_scale, T* grad_rotation, T* grad_translation,
                                     T* partial, std::int64_t batch, std::int64_t vertices,
                                     std::int64_t count, std::int64_t chunk,
                                     const Context& context) {
  const std::int64_t row = 3 * vertices, sums_row = count + kPoseSums;
  const std::int64_t chunks = (vertices + chunk - 1) / chunk;
  std::fill(partial, partial + chunks * batch * sums_row, T(0));

  // One block of vertices and the items n ... n + items - 1.
  const auto work = [&](Block block, std::int64_t n, std::int64_t items, T* sums) {
    T shapes[kItems * kColumns];
    const T* grads = grad + n * row + block.begin;  // by the shape; the pose makes them its own
    std::int64_t grads_row = row;
    if (scale) {
      shape_block(mean, basis, coefficients + n * count, block, row, count, items, shapes,
                  kColumns);
      for (std::int64_t i = 0; i < items; ++i) {
        add_pose_sums(grads + i * row, shapes + i * kColumns, block.size,
                      sums + i * sums_row + count);
        unpose_block(grads + i * row, scale[n + i], rotation + 9 * (n + i), block.size,
                     shapes + i * kColumns);
      }
      grads = shapes;
      grads_row = kColumns;
    }
    if (grad_coefficients) {
      add_products(grads, grads_row, items, basis + block.begin, row, count, block.size, sums,
                   sums_row);
    }
    if (grad_basis) {
      add_rows_to(grads, grads_row, coefficients + n * count, 1, count, items,
                  grad_basis + block.begin, row, count, block.size);
    }
    for (std::int64_t i = 0; grad_mean && i < items; ++i) {
      for (std::int64_t j = 0; j < block.size; ++j) {
        grad_mean[block.begin + j] += grads[i * grads_row + j];
      }
    }
  };

  parallel_for(vertices, chunk, context.threads, [&](std::int64_t begin, std::int64_t end) {
    T* sums = partial + begin / chunk * batch * sums_row;
    for (std::int64_t v = begin; v < end; v += kVertices) {
      const Block block{3 * v, 3 * (std::min(v + kVertices, end) - v)};
      for (std::int64_t n = 0; n < batch; n += kItems) {
        work(block, n, std::min<std::int64_t>(kItems, batch - n), sums + n * sums_row);
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

#define PGNFACE_INSTANTIATE(T)                                                                 \
  template void evaluate_morphable_forward_cpu<T>(const T*, const T*, const T*, const T*,      \
                                                  const T*, const T*, T*, std::int64_t,        \
                                                  std::int64_t, std::int64_t, const Context&); \
  template void evaluate_morphable_backward_cpu<T>(                                            \
      const T*, const T*, const T*, const T*, const T*, const T*, T*, T*, T*, T*, T*, T*, T*,  \
      std::int64_t, std::int64_t, std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
