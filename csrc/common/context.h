// Where and how a kernel runs; the last argument of every kernel.
#pragma once

#include <cstdint>

namespace pgnface {

struct Context {
  int threads = 1;            // CPU kernels: the most threads to use
  int device = -1;            // CUDA kernels: device ordinal
  std::uintptr_t stream = 0;  // CUDA kernels: cudaStream_t of the caller
};

}  // namespace pgnface
