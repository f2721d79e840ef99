#include "common/cuda.h"
#include "common/tensor_core.cuh"
#include "evaluate_morphable/evaluate_morphable.h"

// Small batches are a matter of reading the basis: a thread has one coordinate and the sums of up
// to 16 items, so a value that is read serves all of them, and rows are independent loads. From 33
// items on, and for the gradients by the coefficients, the product is left to the tensor cores,
// over tiles in shared memory.
namespace pgnface {
namespace {

constexpr int kVertices = 64;  // of a block
constexpr int kColumns = 3 * kVertices;
constexpr int kSlice = 160;    // coefficients in shared memory at a time
constexpr int kBasisRows = 8;  // rows of the basis whose gradients a thread sums
constexpr int kReduced = 128;  // threads that add chunks

struct Sizes {
  std::int64_t batch, vertices, count;

  __host__ __device__ std::int64_t row() const { return 3 * vertices; }
};

// Null pointers stand for no pose.
struct Poses {
  const float *scale, *rotation, *translation;
};

// A block has kColumns coordinates of kItems items; consecutive blocks share the coordinates.
template <int kItems, typename B>
__global__ void __launch_bounds__(kColumns)
    stream_kernel(const float* __restrict__ mean, const B* __restrict__ basis,
                  const float* __restrict__ coefficients, Poses poses, float* __restrict__ output,
                  Sizes sizes) {
  __shared__ float factors[kSlice][kItems];
  __shared__ float shapes[kItems][kColumns];
  const std::int64_t groups = (sizes.batch + kItems - 1) / kItems;
  const std::int64_t first = blockIdx.x % groups * kItems;
  const std::int64_t column = blockIdx.x / groups * kColumns + threadIdx.x;
  const bool inside = column < sizes.row();
  float sums[kItems];
#pragma unroll
  for (int i = 0; i < kItems; ++i) sums[i] = inside ? mean[column] : 0.0f;
  for (std::int64_t begin = 0; begin < sizes.count; begin += kSlice) {
    const int size = static_cast<int>(min(std::int64_t(kSlice), sizes.count - begin));
    __syncthreads();
    for (int j = threadIdx.x; j < kItems * size; j += kColumns) {
      const std::int64_t n = first + j / size;
      factors[j % size][j / size] =
          n < sizes.batch ? coefficients[n * sizes.count + begin + j % size] : 0.0f;
    }
    __syncthreads();
    if (!inside) continue;
    const B* rows = basis + begin * sizes.row() + column;
#pragma unroll 8
    for (int p = 0; p < size; ++p) {
      const float value = static_cast<float>(rows[p * sizes.row()]);
#pragma unroll
      for (int i = 0; i < kItems; ++i) sums[i] += factors[p][i] * value;
    }
  }
  if (poses.scale) {
#pragma unroll
    for (int i = 0; i < kItems; ++i) shapes[i][threadIdx.x] = sums[i];
    __syncthreads();
  }
  if (!inside) return;
  const int axis = threadIdx.x % 3;
#pragma unroll
  for (int i = 0; i < kItems; ++i) {
    const std::int64_t n = first + i;
    if (n >= sizes.batch) return;
    output[n * sizes.row() + column] =
        poses.scale
            ? pose_coordinate(shapes[i] + threadIdx.x - axis, poses.scale[n],
                              poses.rotation + 9 * n + 3 * axis, poses.translation[3 * n + axis])
            : sums[i];
  }
}

// The same by tensor cores: a block has 96 coordinates of 64 items, each warp 16 of the items.
constexpr int kTileItems = 64, kTileColumns = 96, kTileDepth = 16;
constexpr int kTileThreads = 32 * kTileItems / 16;
constexpr int kFactorRow = kTileItems + 8, kBasisRow = kTileColumns + 8;

template <typename B>
__global__ void __launch_bounds__(kTileThreads)
    product_kernel(const float* __restrict__ mean, const B* __restrict__ basis,
                   const float* __restrict__ coefficients, Poses poses, float* __restrict__ output,
                   Sizes sizes) {
  // The operands, and after them the shapes in the same place.
  alignas(32) __shared__ float memory[kTileItems * kBasisRow];
  float* factors = memory;                           // [kTileDepth][kFactorRow]
  float* values = memory + kTileDepth * kFactorRow;  // [kTileDepth][kBasisRow]
  const std::int64_t groups = (sizes.batch + kTileItems - 1) / kTileItems;
  const std::int64_t first = blockIdx.x % groups * kTileItems;
  const std::int64_t begin = blockIdx.x / groups * kTileColumns;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  TileSums<kTileColumns / 16> sums;
  sums.clear();
  for (std::int64_t p = 0; p < sizes.count; p += kTileDepth) {
    __syncthreads();
    for (int j = threadIdx.x; j < kTileDepth * kTileItems; j += kTileThreads) {
      const int k = j % kTileDepth, i = j / kTileDepth;
      const bool inside = p + k < sizes.count && first + i < sizes.batch;
      factors[k * kFactorRow + i] = inside ? coefficients[(first + i) * sizes.count + p + k] : 0.0f;
    }
#pragma unroll
    for (int k = warp; k < kTileDepth; k += kTileThreads / 32) {
      const B* row = basis + (p + k) * sizes.row() + begin;
#pragma unroll
      for (int c = lane; c < kTileColumns; c += 32) {
        const bool inside = p + k < sizes.count && begin + c < sizes.row();
        values[k * kBasisRow + c] = inside ? static_cast<float>(row[c]) : 0.0f;
      }
    }
    __syncthreads();
#pragma unroll 1
    for (int k = 0; k < kTileDepth; k += 8) {
      sums.template add<true>(factors + k * kFactorRow + 16 * warp, kFactorRow,
                              values + k * kBasisRow, kBasisRow);
    }
  }
  __syncthreads();
  for (int t = 0; t < kTileColumns / 16; ++t) {
    sums.store(t, memory + 16 * warp * kBasisRow + 16 * t, kBasisRow);
  }
  __syncthreads();
  for (int j = threadIdx.x; j < kTileItems * kTileColumns; j += kTileThreads) {
    const int i = j / kTileColumns, c = j % kTileColumns, axis = c % 3;
    const std::int64_t n = first + i, column = begin + c;
    if (n >= sizes.batch || column >= sizes.row()) continue;
    const float *shape = memory + i * kBasisRow + c, *start = mean + column;
    float result = shape[0] + start[0];
    if (poses.scale) {
      float point[3];
      for (int k = 0; k < 3; ++k) point[k] = shape[k - axis] + start[k - axis];
      result = pose_coordinate(point, poses.scale[n], poses.rotation + 9 * n + 3 * axis,
                               poses.translation[3 * n + axis]);
    }
    output[n * sizes.row() + column] = result;
  }
}

// Gradients by the coefficients, the sums over one chunk of vertices: partial (chunks, batch,
// count + 12). Each warp has 16 rows of the basis and the items of kTiles tiles of 16.
constexpr int kChunkRows = 144, kChunkColumns = 48, kChunkRow = kChunkColumns + 4;
constexpr int kChunkThreads = 2 * kChunkRows;

template <int kTiles, typename B>
__global__ void __launch_bounds__(kChunkThreads, 2)
    chunk_kernel(const float* __restrict__ grad, const B* __restrict__ basis, Poses poses,
                 float* __restrict__ partial, std::int64_t chunk, Sizes sizes) {
  constexpr int kItems = 16 * kTiles, kOutRow = 20;
  alignas(32) __shared__ float rows[kChunkRows * kChunkRow];
  alignas(32) __shared__ float grads[kItems * kChunkRow];
  const std::int64_t groups = (sizes.batch + kItems - 1) / kItems;
  const std::int64_t which = blockIdx.x / groups, first = blockIdx.x % groups * kItems;
  const std::int64_t p = std::int64_t(blockIdx.y) * kChunkRows;
  const std::int64_t end = 3 * min((which + 1) * chunk, sizes.vertices);
  constexpr int kLines = kChunkThreads / kChunkColumns;
  const int warp = threadIdx.x / 32;
  const int column = threadIdx.x % kChunkColumns, line = threadIdx.x / kChunkColumns;
  const int axis = column % 3;
  TileSums<kTiles> sums;
  sums.clear();
  for (std::int64_t begin = 3 * which * chunk; begin < end; begin += kChunkColumns) {
    __syncthreads();
    const bool inside = begin + column < end;
    const B* values = basis + (p + line) * sizes.row() + begin + column;
#pragma unroll 4
    for (int r = line; r < kChunkRows; r += kLines) {
      rows[r * kChunkRow + column] =
          inside && p + r < sizes.count ? static_cast<float>(*values) : 0.0f;
      values += kLines * sizes.row();
    }
    const float* g = grad + (first + line) * sizes.row() + begin + column - axis;
#pragma unroll 1
    for (int i = line; i < kItems; i += kLines) {
      const std::int64_t n = first + i;
      float value = 0.0f;
      if (inside && n < sizes.batch) {
        value = poses.scale ? unpose_coordinate(g, poses.scale[n], poses.rotation + 9 * n, axis)
                            : g[axis];
      }
      grads[i * kChunkRow + column] = value;
      g += kLines * sizes.row();
    }
    __syncthreads();
#pragma unroll 1
    for (int k = 0; k < kChunkColumns; k += 8) {
      sums.template add<false>(rows + 16 * warp * kChunkRow + k, kChunkRow, grads + k, kChunkRow);
    }
  }
  for (int t = 0; t < kTiles; ++t) {
    __syncthreads();
    sums.store(t, rows + 16 * warp * kOutRow, kOutRow);
    __syncthreads();
    for (int j = threadIdx.x; j < kChunkRows * 16; j += kChunkThreads) {
      const int r = j % kChunkRows, i = j / kChunkRows;
      const std::int64_t n = first + 16 * t + i;
      if (n < sizes.batch && p + r < sizes.count) {
        partial[(which * sizes.batch + n) * (sizes.count + kPoseSums) + p + r] =
            rows[r * kOutRow + i];
      }
    }
  }
}

// The sums from which the pose's gradients follow, of one chunk and item: one warp each. A lane has
// every 32nd vertex, and the lanes are added in a fixed order.
template <typename B>
__global__ void __launch_bounds__(32)
    pose_sums_kernel(const float* __restrict__ grad, const float* __restrict__ mean,
                     const B* __restrict__ basis, const float* __restrict__ coefficients,
                     Poses poses, const float* __restrict__ output, float* __restrict__ partial,
                     std::int64_t chunk, Sizes sizes) {
  const std::int64_t which = blockIdx.x / sizes.batch, n = blockIdx.x % sizes.batch;
  const std::int64_t last = min((which + 1) * chunk, sizes.vertices);
  float inverse[9], sums[kPoseSums] = {};
  const float* posed = output + n * sizes.row();
  const float* sample = posed + threadIdx.x * sizes.vertices / kSamples * 3;
  const bool sampled = keeps_digits(sample, poses.translation + 3 * n);
  const bool recovered = __ballot_sync(0xffffffffu, sampled) != 0 &&
                         invert_pose(poses.scale[n], poses.rotation + 9 * n, inverse);
  for (std::int64_t v = which * chunk + threadIdx.x; v < last; v += 32) {
    const float* g = grad + n * sizes.row() + 3 * v;
    float x[3];
    for (int k = 0; k < 3; ++k) {
      x[k] = recovered ? posed[3 * v + k] - poses.translation[3 * n + k] : mean[3 * v + k];
    }
    for (std::int64_t p = 0; !recovered && p < sizes.count; ++p) {
      const float factor = coefficients[n * sizes.count + p];
      const B* row = basis + p * sizes.row() + 3 * v;
      for (int k = 0; k < 3; ++k) x[k] += factor * static_cast<float>(row[k]);
    }
#pragma unroll
    for (int i = 0; i < 3; ++i) {
#pragma unroll
      for (int k = 0; k < 3; ++k) sums[3 * i + k] += g[i] * x[k];
      sums[9 + i] += g[i];
    }
  }
  float* out = partial + (which * sizes.batch + n) * (sizes.count + kPoseSums) + sizes.count;
#pragma unroll
  for (int i = 0; i < kPoseSums; ++i) {
    for (int lanes = 16; lanes > 0; lanes /= 2) {
      sums[i] += __shfl_xor_sync(0xffffffffu, sums[i], lanes);
    }
  }
  if (threadIdx.x > 0) return;
  if (recovered) sums_by_shape(inverse, sums);
#pragma unroll
  for (int i = 0; i < kPoseSums; ++i) out[i] = sums[i];
}

// Adds the chunks in order: blockIdx.x is an item, a thread has one of its sums.
__global__ void __launch_bounds__(kReduced)
    reduce_kernel(const float* __restrict__ partial, Poses poses,
                  float* __restrict__ grad_coefficients, float* __restrict__ grad_scale,
                  float* __restrict__ grad_rotation, float* __restrict__ grad_translation,
                  std::int64_t chunks, Sizes sizes) {
  __shared__ float pose[kPoseSums];
  const std::int64_t n = blockIdx.x, stride = sizes.count + kPoseSums;
  const std::int64_t begin = grad_coefficients ? 0 : sizes.count;
  const std::int64_t end = poses.scale ? stride : sizes.count;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kReduced) {
    float total = 0;
#pragma unroll 8
    for (std::int64_t c = 0; c < chunks; ++c) total += partial[(c * sizes.batch + n) * stride + i];
    if (i < sizes.count) {
      grad_coefficients[n * sizes.count + i] = total;
    } else {
      pose[i - sizes.count] = total;
    }
  }
  __syncthreads();
  if (poses.scale && threadIdx.x == 0) {
    pose_gradients(pose, poses.scale[n], poses.rotation + 9 * n, grad_scale + n,
                   grad_rotation + 9 * n, grad_translation + 3 * n);
  }
}

// Gradients by the mean and the basis: each thread sums over the batch, in order, for one
// coordinate and kBasisRows rows.
__global__ void __launch_bounds__(kColumns)
    model_kernel(const float* __restrict__ grad, const float* __restrict__ coefficients,
                 const float* __restrict__ scale, const float* __restrict__ rotation,
                 float* __restrict__ grad_mean, float* __restrict__ grad_basis, Sizes sizes) {
  const std::int64_t column = std::int64_t(blockIdx.x) * kColumns + threadIdx.x;
  const std::int64_t first = std::int64_t(blockIdx.y) * kBasisRows;
  if (column >= sizes.row()) return;
  const int axis = threadIdx.x % 3;
  float total = 0, sums[kBasisRows] = {};
  for (std::int64_t n = 0; n < sizes.batch; ++n) {
    const float* g = grad + n * sizes.row() + column - axis;
    const float value = scale ? unpose_coordinate(g, scale[n], rotation + 9 * n, axis) : g[axis];
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
  const Poses poses{scale, rotation, translation};
  const cudaStream_t stream = stream_of(context);
  const auto stream_with = [&](auto kernel, int items) {
    const unsigned blocks = blocks_of(vertices, kVertices) * blocks_of(batch, items);
    kernel<<<blocks, kColumns, 0, stream>>>(mean, basis, coefficients, poses, output, sizes);
  };
  if (batch > 32) {
    const unsigned blocks = blocks_of(sizes.row(), kTileColumns) * blocks_of(batch, kTileItems);
    product_kernel<<<blocks, kTileThreads, 0, stream>>>(mean, basis, coefficients, poses, output,
                                                        sizes);
  } else if (batch > 8) {
    stream_with(stream_kernel<16, B>, 16);
  } else if (batch > 4) {
    stream_with(stream_kernel<8, B>, 8);
  } else if (batch > 1) {
    stream_with(stream_kernel<4, B>, 4);
  } else {
    stream_with(stream_kernel<1, B>, 1);
  }
  check_cuda(cudaGetLastError(), "evaluate_morphable");
}

template <typename T, typename B>
void evaluate_morphable_backward_cuda(const T* grad, const T* mean, const B* basis,
                                      const T* coefficients, const T* scale, const T* rotation,
                                      const T* translation, const T* output, T* grad_mean,
                                      T* grad_basis, T* grad_coefficients, T* grad_scale,
                                      T* grad_rotation, T* grad_translation, T* partial,
                                      std::int64_t batch, std::int64_t vertices, std::int64_t count,
                                      std::int64_t chunk, const Context& context) {
  DeviceGuard guard(context);
  const Sizes sizes{batch, vertices, count};
  if (batch == 0) return;
  const Poses poses{scale, rotation, translation};
  const cudaStream_t stream = stream_of(context);
  const unsigned chunks = blocks_of(vertices, chunk);
  if (grad_coefficients && chunks > 0 && count > 0) {
    const auto launch = [&](auto kernel, int items) {
      const dim3 blocks(chunks * blocks_of(batch, items), blocks_of(count, kChunkRows));
      kernel<<<blocks, kChunkThreads, 0, stream>>>(grad, basis, poses, partial, chunk, sizes);
    };
    batch > 16 ? launch(chunk_kernel<4, B>, 64) : launch(chunk_kernel<1, B>, 16);
  }
  if (scale && chunks > 0) {
    pose_sums_kernel<<<chunks* static_cast<unsigned>(batch), 32, 0, stream>>>(
        grad, mean, basis, coefficients, poses, output, partial, chunk, sizes);
  }
  if (grad_coefficients || scale) {
    reduce_kernel<<<static_cast<unsigned>(batch), kReduced, 0, stream>>>(
        partial, poses, grad_coefficients, grad_scale, grad_rotation, grad_translation, chunks,
        sizes);
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
      const T*, const T*, const B*, const T*, const T*, const T*, const T*, const T*, T*, T*, T*,  \
      T*, T*, T*, T*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float, float)
PGNFACE_INSTANTIATE(float, std::int16_t)

}  // namespace pgnface
