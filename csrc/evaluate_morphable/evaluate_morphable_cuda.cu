#include "common/cuda.h"
#include "evaluate_morphable/evaluate_morphable.h"

// A block has one thread for each coordinate of 64 vertices and keeps the sums of 8 batch items in
// registers, so a basis value is loaded once for 8 products. Consecutive blocks take the items of
// the same vertices: for larger batches the basis comes from the L2 cache.
namespace pgnface {
namespace {

constexpr int kVertices = 64;
constexpr int kColumns = 3 * kVertices;
constexpr int kItems = 8;
constexpr int kSlice = 32;  // coefficients in shared memory at a time
constexpr int kWarps = kColumns / 32;
constexpr int kBasisRows = 8;  // rows of the basis whose gradients a thread sums

struct Sizes {
  std::int64_t batch, vertices, count;

  __host__ __device__ std::int64_t row() const { return 3 * vertices; }
  __host__ __device__ std::int64_t tiles() const { return (batch + kItems - 1) / kItems; }
};

template <typename T>
struct CoefficientSlice {
  T values[kSlice][kItems];
};

// sums[i] = the shape's coordinate `column` for item first + i. All threads of the block call it.
template <typename T, typename B>
__device__ void shape_coordinates(const T* mean, const B* basis, const T* coefficients,
                                  const Sizes& sizes, std::int64_t column, std::int64_t first,
                                  CoefficientSlice<T>& slice, T (&sums)[kItems]) {
  const bool inside = column < sizes.row();
  const T start = inside ? mean[column] : T(0);
  for (int i = 0; i < kItems; ++i) sums[i] = start;
  for (std::int64_t begin = 0; begin < sizes.count; begin += kSlice) {
    const int size = static_cast<int>(min(std::int64_t(kSlice), sizes.count - begin));
    __syncthreads();
    for (int j = threadIdx.x; j < kItems * kSlice; j += blockDim.x) {
      const int i = j / kSlice, p = j % kSlice;
      const std::int64_t n = first + i;
      slice.values[p][i] =
          p < size && n < sizes.batch ? coefficients[n * sizes.count + begin + p] : T(0);
    }
    __syncthreads();
    if (!inside) continue;
    const B* rows = basis + begin * sizes.row() + column;
#pragma unroll 4
    for (int p = 0; p < size; ++p) {
      const T value = static_cast<T>(rows[p * sizes.row()]);
#pragma unroll
      for (int i = 0; i < kItems; ++i) sums[i] += slice.values[p][i] * value;
    }
  }
}

template <typename T, typename B>
__global__ void __launch_bounds__(kColumns)
    forward_kernel(const T* __restrict__ mean, const B* __restrict__ basis,
                   const T* __restrict__ coefficients, const T* __restrict__ scale,
                   const T* __restrict__ rotation, const T* __restrict__ translation,
                   T* __restrict__ output, Sizes sizes) {
  __shared__ CoefficientSlice<T> slice;
  __shared__ T shapes[kItems][kColumns];
  const std::int64_t first = blockIdx.x % sizes.tiles() * kItems;
  const std::int64_t column = blockIdx.x / sizes.tiles() * kColumns + threadIdx.x;
  T sums[kItems];
  shape_coordinates(mean, basis, coefficients, sizes, column, first, slice, sums);
  if (scale) {
    for (int i = 0; i < kItems; ++i) shapes[i][threadIdx.x] = sums[i];
    __syncthreads();
  }
  if (column >= sizes.row()) return;
  const int axis = threadIdx.x % 3;
#pragma unroll
  for (int i = 0; i < kItems; ++i) {
    const std::int64_t n = first + i;
    if (n >= sizes.batch) return;
    output[n * sizes.row() + column] =
        scale ? pose_coordinate(shapes[i] + threadIdx.x - axis, scale[n],
                                rotation + 9 * n + 3 * axis, translation[3 * n + axis])
              : sums[i];
  }
}

// Sums over the vertices of one chunk for kItems items: partial (chunks, batch, count + 12).
template <typename T, typename B>
__global__ void __launch_bounds__(kColumns)
    chunk_kernel(const T* __restrict__ grad, const T* __restrict__ mean,
                 const B* __restrict__ basis, const T* __restrict__ coefficients,
                 const T* __restrict__ scale, const T* __restrict__ rotation,
                 T* __restrict__ partial, bool by_coefficients, std::int64_t chunk, Sizes sizes) {
  __shared__ CoefficientSlice<T> slice;
  __shared__ T grads[kItems][kColumns], shapes[kItems][kColumns];
  const std::int64_t first = blockIdx.x % sizes.tiles() * kItems;
  const std::int64_t which = blockIdx.x / sizes.tiles();
  const std::int64_t begin = which * chunk, end = min(begin + chunk, sizes.vertices);
  const std::int64_t stride = sizes.count + kPoseSums;
  T* sums = partial + (which * sizes.batch + first) * stride;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, axis = thread % 3;
  const int pose_item = thread / kPoseSums, pose_sum = thread % kPoseSums;
  T pose_total = 0;

  for (std::int64_t v = begin; v < end; v += kVertices) {
    const std::int64_t column = 3 * v + thread;
    __syncthreads();
    for (int i = 0; i < kItems; ++i) {
      const bool inside = column < sizes.row() && first + i < sizes.batch;
      grads[i][thread] = inside ? grad[(first + i) * sizes.row() + column] : T(0);
    }
    if (scale) {
      T shape[kItems];
      shape_coordinates(mean, basis, coefficients, sizes, column, first, slice, shape);
      for (int i = 0; i < kItems; ++i) shapes[i][thread] = shape[i];
      __syncthreads();
      if (pose_item < kItems) {  // gradients past the end are zero
        for (int j = 0; j < kColumns; j += 3) {
          const T* g = grads[pose_item] + j;
          pose_total += pose_sum < 9 ? g[pose_sum / 3] * shapes[pose_item][j + pose_sum % 3]
                                     : g[pose_sum - 9];
        }
      }
      T unposed[kItems];
      for (int i = 0; i < kItems; ++i) {
        const std::int64_t n = min(first + i, sizes.batch - 1);
        unposed[i] = unpose_coordinate(grads[i] + thread - axis, scale[n], rotation + 9 * n, axis);
      }
      __syncthreads();
      for (int i = 0; i < kItems; ++i) grads[i][thread] = unposed[i];
    }
    __syncthreads();
    if (!by_coefficients) continue;
    // A warp takes a row of the basis; its lanes hold the same columns of all items' gradients.
    T local[kItems][kWarps];
    for (int i = 0; i < kItems; ++i) {
      for (int j = 0; j < kWarps; ++j) local[i][j] = grads[i][32 * j + lane];
    }
    for (std::int64_t p = warp; p < sizes.count; p += kWarps) {
      T dots[kItems] = {};
#pragma unroll
      for (int j = 0; j < kWarps; ++j) {
        const std::int64_t c = 3 * v + 32 * j + lane;
        const T value = c < sizes.row() ? static_cast<T>(basis[p * sizes.row() + c]) : T(0);
#pragma unroll
        for (int i = 0; i < kItems; ++i) dots[i] += local[i][j] * value;
      }
#pragma unroll
      for (int i = 0; i < kItems; ++i) {
        for (int offset = 16; offset > 0; offset /= 2) {
          dots[i] += __shfl_down_sync(0xffffffffu, dots[i], offset);
        }
        if (lane == 0 && first + i < sizes.batch) {
          T& sum = sums[i * stride + p];
          sum = (v == begin ? T(0) : sum) + dots[i];
        }
      }
    }
  }
  if (scale && pose_item < kItems && first + pose_item < sizes.batch) {
    sums[pose_item * stride + sizes.count + pose_sum] = pose_total;
  }
}

// Adds the chunks of one item in order: a block an item.
template <typename T>
__global__ void reduce_kernel(const T* __restrict__ partial, const T* __restrict__ scale,
                              const T* __restrict__ rotation, T* __restrict__ grad_coefficients,
                              T* __restrict__ grad_scale, T* __restrict__ grad_rotation,
                              T* __restrict__ grad_translation, std::int64_t chunks, Sizes sizes) {
  __shared__ T pose[kPoseSums];
  const std::int64_t n = blockIdx.x, stride = sizes.count + kPoseSums;
  const std::int64_t begin = grad_coefficients ? 0 : sizes.count;
  const std::int64_t end = scale ? stride : sizes.count;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    T total = 0;
    for (std::int64_t c = 0; c < chunks; ++c) total += partial[(c * sizes.batch + n) * stride + i];
    if (i < sizes.count) {
      grad_coefficients[n * sizes.count + i] = total;
    } else {
      pose[i - sizes.count] = total;
    }
  }
  __syncthreads();
  if (scale && threadIdx.x == 0) {
    pose_gradients(pose, scale[n], rotation + 9 * n, grad_scale + n, grad_rotation + 9 * n,
                   grad_translation + 3 * n);
  }
}

// Gradients by the mean and the basis: each thread sums over the batch, in order, for one
// coordinate and kBasisRows rows.
template <typename T>
__global__ void __launch_bounds__(kColumns)
    model_kernel(const T* __restrict__ grad, const T* __restrict__ coefficients,
                 const T* __restrict__ scale, const T* __restrict__ rotation,
                 T* __restrict__ grad_mean, T* __restrict__ grad_basis, Sizes sizes) {
  const std::int64_t column = std::int64_t(blockIdx.x) * kColumns + threadIdx.x;
  const std::int64_t first = std::int64_t(blockIdx.y) * kBasisRows;
  if (column >= sizes.row()) return;
  const int axis = threadIdx.x % 3;
  T total = 0, sums[kBasisRows] = {};
  for (std::int64_t n = 0; n < sizes.batch; ++n) {
    const T* g = grad + n * sizes.row() + column - axis;
    const T value = scale ? unpose_coordinate(g, scale[n], rotation + 9 * n, axis) : g[axis];
    total += value;
    if (!grad_basis) continue;
#pragma unroll
    for (int i = 0; i < kBasisRows; ++i) {
      const std::int64_t p = min(first + i, sizes.count - 1);
      sums[i] += coefficients[n * sizes.count + p] * value;
    }
  }
  if (grad_mean && first == 0) grad_mean[column] = total;
#pragma unroll
  for (int i = 0; i < kBasisRows; ++i) {
    if (grad_basis && first + i < sizes.count) {
      grad_basis[(first + i) * sizes.row() + column] = sums[i];
    }
  }
}

unsigned blocks_of(std::int64_t items, std::int64_t size) {
  return static_cast<unsigned>((items + size - 1) / size);
}

}  // namespace

template <typename T, typename B>
void evaluate_morphable_forward_cuda(const T* mean, const B* basis, const T* coefficients,
                                     const T* scale, const T* rotation, const T* translation,
                                     T* output, std::int64_t batch, std::int64_t vertices,
                                     std::int64_t count, const Context& context) {
  DeviceGuard guard(context);
  const Sizes sizes{batch, vertices, count};
  if (batch * vertices == 0) return;
  const unsigned blocks = blocks_of(vertices, kVertices) * static_cast<unsigned>(sizes.tiles());
  forward_kernel<<<blocks, kColumns, 0, stream_of(context)>>>(mean, basis, coefficients, scale,
                                                              rotation, translation, output, sizes);
  check_cuda(cudaGetLastError(), "evaluate_morphable");
}

template <typename T, typename B>
void evaluate_morphable_backward_cuda(const T* grad, const T* mean, const B* basis,
                                      const T* coefficients, const T* scale, const T* rotation,
                                      T* grad_mean, T* grad_basis, T* grad_coefficients,
                                      T* grad_scale, T* grad_rotation, T* grad_translation,
                                      T* partial, std::int64_t batch, std::int64_t vertices,
                                      std::int64_t count, std::int64_t chunk,
                                      const Context& context) {
  DeviceGuard guard(context);
  const Sizes sizes{batch, vertices, count};
  if (batch == 0) return;
  const cudaStream_t stream = stream_of(context);
  const unsigned chunks = blocks_of(vertices, chunk);
  const bool by_coefficients = grad_coefficients != nullptr;
  if (by_coefficients || scale) {
    if (chunks > 0) {
      chunk_kernel<<<chunks* static_cast<unsigned>(sizes.tiles()), kColumns, 0, stream>>>(
          grad, mean, basis, coefficients, scale, rotation, partial, by_coefficients, chunk, sizes);
    }
    reduce_kernel<<<static_cast<unsigned>(batch), 128, 0, stream>>>(
        partial, scale, rotation, grad_coefficients, grad_scale, grad_rotation, grad_translation,
        chunks, sizes);
  }
  if ((grad_mean || grad_basis) && vertices > 0) {
    const dim3 blocks(blocks_of(vertices, kVertices),
                      grad_basis ? max(1u, blocks_of(count, kBasisRows)) : 1u);
    model_kernel<<<blocks, kColumns, 0, stream>>>(grad, coefficients, scale, rotation, grad_mean,
                                                  grad_basis, sizes);
  }
  check_cuda(cudaGetLastError(), "evaluate_morphable backward");
}

#define PGNFACE_INSTANTIATE(T, B)                                                                  \
  template void evaluate_morphable_forward_cuda<T, B>(const T*, const B*, const T*, const T*,      \
                                                      const T*, const T*, T*, std::int64_t,        \
                                                      std::int64_t, std::int64_t, const Context&); \
  template void evaluate_morphable_backward_cuda<T, B>(                                            \
      const T*, const T*, const B*, const T*, const T*, const T*, T*, T*, T*, T*, T*, T*, T*,      \
      std::int64_t, std::int64_t, std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float, float)
PGNFACE_INSTANTIATE(float, std::int16_t)

}  // namespace pgnface
