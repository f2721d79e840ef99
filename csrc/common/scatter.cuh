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

#include "common/cuda.h"

namespace pgnface {

constexpr unsigned kInfinityBits = 0x7f800000u;

template <typename Emit>
__global__ void scatter_kernel(std::int64_t items, Emit emit, float* target) {
  PGNFACE_GRID_LOOP(item, items) {
    emit(item, [target](std::int64_t i, float term) { atomicAdd(target + i, term); });
  }
}

// Bits of the largest magnitude; as integers they compare like the numbers, NaN above all.
template <typename Emit>
__global__ void largest_term_kernel(std::int64_t items, Emit emit, unsigned* largest) {
  unsigned mine = 0;
  PGNFACE_GRID_LOOP(item, items) {
    emit(item,
         [&mine](std::int64_t, float term) { mine = max(mine, __float_as_uint(fabsf(term))); });
  }
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    mine = max(mine, __shfl_xor_sync(0xffffffffu, mine, lanes));
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
  PGNFACE_GRID_LOOP(item, items) {
    emit(item, [sums, shift](std::int64_t i, float term) {
      const long long fixed = llrint(ldexp(static_cast<double>(term), shift));
      atomicAdd(sums + i, static_cast<unsigned long long>(fixed));
    });
  }
}

__global__ void from_fixed_point_kernel(std::int64_t items, std::int64_t size, float* target,
                                        const unsigned long long* sums, const unsigned* largest);

// Sums into `target` (size values, need not be set) what emit(item, add) hands to add(index, term),
// for each of `items` items. workspace: size + 1 int64 for the deterministic mode, else null.
// There, one term that is not finite makes all sums NaN.
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
