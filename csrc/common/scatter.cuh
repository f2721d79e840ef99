// Sums of many terms into shared targets on the GPU, with a mode that gives the same bits at every
// run.
//
// Sums of floating-point numbers depend on the order of their terms, and atomics have none. Sums of
// integers do not: the deterministic mode finds the largest term, scales all so that no sum can
// overflow an int64, and adds the rounded terms as integers. With 2^20 terms a target this keeps
// some 40 bits below the largest term, more than float32 holds.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "common/cuda.h"

namespace pgnface {

constexpr unsigned kInfinityBits = 0x7f800000u;

constexpr unsigned kFullWarp = 0xffffffffu;

// Neighbouring lanes of a warp that hold the same key, and so add to the same targets. All lanes
// must come together to the constructor and to sum.
class WarpRuns {
 public:
  __device__ explicit WarpRuns(std::int64_t key) {
    const unsigned lane = threadIdx.x % 32;
    const std::int64_t left = __shfl_up_sync(kFullWarp, key, 1);
    const unsigned heads = __ballot_sync(kFullWarp, lane == 0 || key != left);
    const unsigned later = lane == 31 ? 0 : heads >> (lane + 1);
    head_ = heads >> lane & 1;
    following_ = later ? __ffs(later) - 1 : 31 - lane;
    while (__any_sync(kFullWarp, reach_ <= following_)) reach_ *= 2;
  }

  __device__ bool head() const { return head_; }

  // At the head of a run the sum of its terms.
  __device__ float sum(float term) const {
    for (int step = 1; step < reach_; step *= 2) {
      const float other = __shfl_down_sync(kFullWarp, term, step);
      if (step <= following_) term += other;
    }
    return term;
  }

 private:
  bool head_;
  int following_;  // lanes of my run after me
  int reach_ = 1;  // the first power of two above that of every lane
};

// Whether an Emit has a key, see scatter_add.
template <typename Emit, typename = void>
struct HasKey : std::false_type {};
template <typename Emit>
struct HasKey<Emit, std::void_t<decltype(&Emit::key)>> : std::true_type {};

template <typename Emit, typename Add>
__device__ void for_each_term(std::int64_t items, const Emit& emit, const Add& add) {
  if constexpr (HasKey<Emit>::value) {
    const std::int64_t step = std::int64_t(gridDim.x) * blockDim.x;
    for (std::int64_t base = std::int64_t(blockIdx.x) * blockDim.x; base < items; base += step) {
      const std::int64_t item = base + threadIdx.x;
      const std::int64_t key = item < items ? emit.key(item) : -1;
      const WarpRuns runs(key);
      emit(item, key, [&](std::int64_t i, float term) {
        const float sum = runs.sum(term);
        if (runs.head() && key >= 0) add(i, sum);
      });
    }
  } else {
    PGNFACE_GRID_LOOP(item, items) { emit(item, add); }
  }
}

template <typename Emit>
__global__ void scatter_kernel(std::int64_t items, Emit emit, float* target) {
  for_each_term(items, emit, [=](std::int64_t i, float term) { atomicAdd(target + i, term); });
}

// Bits of the largest magnitude; as integers they compare like the numbers, NaN above all.
template <typename Emit>
__global__ void largest_term_kernel(std::int64_t items, Emit emit, unsigned* largest) {
  unsigned mine = 0;
  for_each_term(items, emit, [&mine](std::int64_t, float term) {
    mine = max(mine, __float_as_uint(fabsf(term)));
  });
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    mine = max(mine, __shfl_xor_sync(kFullWarp, mine, lanes));
  }
  if (threadIdx.x % 32 == 0 && mine > 0) atomicMax(largest, mine);
}

// Terms are below 2^exponent; a target gets at most 4 of each item.
__device__ inline int fixed_point_shift(unsigned largest, std::int64_t items) {
  const int exponent = ilogbf(__uint_as_float(largest)) + 1;
  const int terms = 66 - __clzll(items);
  return 62 - exponent - terms;
}

template <typename Emit>
__global__ void fixed_point_kernel(std::int64_t items, Emit emit, unsigned long long* sums,
                                   const unsigned* largest) {
  if (*largest == 0 || *largest >= kInfinityBits) return;
  const int shift = fixed_point_shift(*largest, items);
  for_each_term(items, emit, [=](std::int64_t i, float term) {
    const long long fixed = llrint(ldexp(static_cast<double>(term), shift));
    atomicAdd(sums + i, static_cast<unsigned long long>(fixed));
  });
}

__global__ void from_fixed_point_kernel(std::int64_t items, std::int64_t size, float* target,
                                        const unsigned long long* sums, const unsigned* largest);

// Sums into `target` (size values, need not be set) what emit(item, add) hands to add(index, term),
// for each of `items` items. Where terms of neighbouring items often meet, as those of pixels of
// one triangle do, Emit has key(item), below 0 for nothing, and is called as emit(item, key, add):
// the terms of neighbours with the same key, which must go to the same targets, are then summed
// before they are added. All lanes of a warp must call add equally often, also those without an
// item, whose key is -1. workspace: size + 1 int64 for the deterministic mode, else null. There,
// one term that is not finite makes all sums NaN.
template <typename Emit>
void scatter_add(std::int64_t items, const Emit& emit, float* target, std::int64_t size,
                 std::int64_t* workspace, const Context& context) {
  const cudaStream_t stream = stream_of(context);
  check_cuda(cudaMemsetAsync(target, 0, size * sizeof(float), stream), "scatter_add");
  if (items == 0) return;
  const unsigned grid = grid_for(items);
  if (workspace == nullptr) {
    scatter_kernel<<<grid, kBlock, 0, stream>>>(items, emit, target);
  } else {
    check_cuda(cudaMemsetAsync(workspace, 0, (size + 1) * sizeof(std::int64_t), stream),
               "scatter_add");
    auto* sums = reinterpret_cast<unsigned long long*>(workspace);
    auto* largest = reinterpret_cast<unsigned*>(workspace + size);
    largest_term_kernel<<<grid, kBlock, 0, stream>>>(items, emit, largest);
    fixed_point_kernel<<<grid, kBlock, 0, stream>>>(items, emit, sums, largest);
    from_fixed_point_kernel<<<grid_for(size), kBlock, 0, stream>>>(items, size, target, sums,
                                                                   largest);
  }
  check_cuda(cudaGetLastError(), "scatter_add");
}

}  // namespace pgnface
