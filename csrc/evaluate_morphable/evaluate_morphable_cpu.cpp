#include <algorithm>

#include "common/parallel.h"
#include "evaluate_morphable/evaluate_morphable.h"

namespace pgnface {
namespace {

constexpr std::int64_t kVertices = 64;  // a block: 768 bytes of each basis row in float32
constexpr std::int64_t kColumns = 3 * kVertices;
constexpr std::int64_t kItems = 8;  // batch items whose sums are in cache together
constexpr int kLanes = 16;          // independent sums, so that dot products vectorise

// A block of columns [begin, begin + size) of the flattened (count, 3 * vertices) basis.
struct Block {
  std::int64_t begin, size;
};

// sum += mean + sum_p coefficients[p] * basis[p] over a block. Four rows at a time, so that a sum
// is loaded and stored once for four products.
template <typename T>
void shape_block(const T* mean, const T* basis, const T* coefficients, Block block,
                 std::int64_t row, std::int64_t count, T* shape) {
  const T* rows = basis + block.begin;
  const std::int64_t size = block.size;
  std::copy(mean + block.begin, mean + block.begin + size, shape);
  std::int64_t p = 0;
  for (; p + 4 <= count; p += 4) {
    const T *b0 = rows + p * row, *b1 = b0 + row, *b2 = b1 + row, *b3 = b2 + row;
    const T c0 = coefficients[p], c1 = coefficients[p + 1], c2 = coefficients[p + 2],
            c3 = coefficients[p + 3];
    for (std::int64_t j = 0; j < size; ++j) {
      shape[j] += (c0 * b0[j] + c1 * b1[j]) + (c2 * b2[j] + c3 * b3[j]);
    }
  }
  for (; p < count; ++p) {
    const T* b = rows + p * row;
    for (std::int64_t j = 0; j < size; ++j) shape[j] += coefficients[p] * b[j];
  }
}

// a . b, in a fixed order.
template <typename T>
T dot(const T* a, const T* b, std::int64_t size) {
  T lanes[kLanes] = {};
  std::int64_t j = 0;
  for (; j + kLanes <= size; j += kLanes) {
    for (int l = 0; l < kLanes; ++l) lanes[l] += a[j + l] * b[j + l];
  }
  T total = 0;
  for (; j < size; ++j) total += a[j] * b[j];
  for (int l = 0; l < kLanes; ++l) total += lanes[l];
  return total;
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
    T shape[kColumns];
    for (std::int64_t n = 0; n < batch; ++n) {
      T* out = output + n * row + block.begin;
      T* target = scale ? shape : out;
      shape_block(mean, basis, coefficients + n * count, block, row, count, target);
      if (!scale) continue;
      for (std::int64_t j = 0; j < block.size; j += 3) {
        for (int i = 0; i < 3; ++i) {
          out[j + i] = pose_coordinate(shape + j, scale[n], rotation + 9 * n + 3 * i,
                                       translation[3 * n + i]);
        }
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
  const std::int64_t row = 3 * vertices, sums = count + kPoseSums;
  const std::int64_t chunks = (vertices + chunk - 1) / chunk;
  std::fill(partial, partial + chunks * batch * sums, T(0));

  // One block of vertices and up to kItems batch items.
  const auto work = [&](Block block, std::int64_t first, std::int64_t last, T* sum) {
    T grad_shape[kItems][kColumns];
    for (std::int64_t n = first; n < last; ++n) {
      const T* g = grad + n * row + block.begin;
      T* target = grad_shape[n - first];
      if (scale) {
        T shape[kColumns];
        shape_block(mean, basis, coefficients + n * count, block, row, count, shape);
        add_pose_sums(g, shape, block.size, sum + n * sums + count);
        for (std::int64_t j = 0; j < block.size; j += 3) {
          for (int i = 0; i < 3; ++i) {
            target[j + i] = unpose_coordinate(g + j, scale[n], rotation + 9 * n, i);
          }
        }
      } else {
        std::copy(g, g + block.size, target);
      }
      for (std::int64_t j = 0; grad_mean && j < block.size; ++j) {
        grad_mean[block.begin + j] += target[j];
      }
    }
    for (std::int64_t p = 0; p < count && (grad_coefficients || grad_basis); ++p) {
      const T* b = basis + p * row + block.begin;
      T* gb = grad_basis ? grad_basis + p * row + block.begin : nullptr;
      for (std::int64_t n = first; n < last; ++n) {
        const T* g = grad_shape[n - first];
        if (grad_coefficients) sum[n * sums + p] += dot(g, b, block.size);
        const T c = coefficients[n * count + p];
        for (std::int64_t j = 0; gb && j < block.size; ++j) gb[j] += c * g[j];
      }
    }
  };

  parallel_for(vertices, chunk, context.threads, [&](std::int64_t begin, std::int64_t end) {
    T* sum = partial + begin / chunk * batch * sums;
    for (std::int64_t v = begin; v < end; v += kVertices) {
      const Block block{3 * v, 3 * (std::min(v + kVertices, end) - v)};
      for (std::int64_t n = 0; n < batch; n += kItems) {
        work(block, n, std::min(n + kItems, batch), sum);
      }
    }
  });

  parallel_for(batch, 1, context.threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      for (std::int64_t i = 0; i < sums; ++i) {
        T total = 0;
        for (std::int64_t c = 0; c < chunks; ++c) total += partial[(c * batch + n) * sums + i];
        partial[n * sums + i] = total;
        if (grad_coefficients && i < count) grad_coefficients[n * count + i] = total;
      }
      if (scale) {
        pose_gradients(partial + n * sums + count, scale[n], rotation + 9 * n, grad_scale + n,
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
