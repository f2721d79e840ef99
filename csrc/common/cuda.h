// What every CUDA kernel's host side needs: error checks, the caller's device, launch shapes.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "common/context.h"

namespace pgnface {

inline void check_cuda(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // clear it: a reported error must not fail the next launch
  throw std::runtime_error(std::string("pgnface CUDA: ") + what + ": " +
                           cudaGetErrorString(status));
}

// Selects the device of the context for a scope and restores the caller's.
class DeviceGuard {
 public:
  explicit DeviceGuard(const Context& context) {
    check_cuda(cudaGetDevice(&previous_), "no usable device");
    if (context.device != previous_) {
      check_cuda(cudaSetDevice(context.device), "cannot select the tensor's device");
    }
  }
  ~DeviceGuard() { cudaSetDevice(previous_); }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int previous_ = 0;
};

inline cudaStream_t stream_of(const Context& context) {
  return reinterpret_cast<cudaStream_t>(context.stream);
}

constexpr int kBlock = 256;

// Blocks for one thread an item; kernels loop with PGNFACE_GRID_LOOP, so a cap costs nothing.
inline unsigned grid_for(std::int64_t items, int block = kBlock) {
  return static_cast<unsigned>(
      std::min<std::int64_t>(std::max<std::int64_t>((items + block - 1) / block, 1), 1 << 20));
}

#define PGNFACE_GRID_LOOP(index, count)                                                           \
  for (std::int64_t index = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; index < (count); \
       index += std::int64_t(gridDim.x) * blockDim.x)

}  // namespace pgnface
