// A CUDA of the CPU: what the kernels use of the language and the runtime, run by fibers. A grid
// runs block by block, the threads of a block in turns: each until it ends or waits.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#define __CUDACC__
#define __CUDA_ARCH__ 900
#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
#define __noinline__
#define __shared__ static
#define __launch_bounds__(...)

struct alignas(8) float2 {
  float x, y;
};
struct float3 {
  float x, y, z;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct int3 {
  int x, y, z;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct uint3 {
  unsigned x, y, z;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(4) short2 {
  short x, y;
};
struct alignas(8) short4 {
  short x, y, z, w;
};
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  std::size_t count() const { return std::size_t(x) * y * z; }
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace emulation {

constexpr std::size_t kStack = 256 << 10;
constexpr unsigned kWarp = 32;
enum class State { kReady, kAtBlockBarrier, kAtWarpBarrier, kDone };

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(kStack);
  uint3 index;
  State state;
  unsigned mask;  // of the warp barrier it waits at
};

struct Machine {
  std::mutex busy;
  ucontext_t scheduler;
  std::vector<Fiber> fibers;
  std::vector<std::uint64_t> slots;  // a value a thread offers to its warp
  std::vector<std::max_align_t> dynamic_shared;
  std::function<void()> kernel;
  std::size_t count = 0, current = 0;
  std::string error;
};
inline Machine machine;

inline unsigned flat_thread() {
  return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
}
inline unsigned lane() { return flat_thread() % kWarp; }
inline void* dynamic_shared() { return machine.dynamic_shared.data(); }

inline void yield(State state, unsigned mask = 0) {
  Fiber& self = machine.fibers[machine.current];
  self.state = state;
  self.mask = mask;
  swapcontext(&self.context, &machine.scheduler);
}

// Ends the block: a kernel cannot throw across fibers, so the launch does in its place.
[[noreturn]] inline void fail(const std::string& what) {
  if (machine.error.empty()) {
    machine.error = what + " (thread " + std::to_string(machine.current) + " of block " +
                    std::to_string(blockIdx.x) + ")";
  }
  yield(State::kDone);
  std::abort();
}

inline void run_fiber() {
  machine.kernel();
  machine.fibers[machine.current].state = State::kDone;
}

// Lets go those who wait at a barrier that all of its threads have reached.
inline bool release() {
  auto& fibers = machine.fibers;
  bool all_at_block = true, released = false;
  for (std::size_t i = 0; i < machine.count; ++i) {
    all_at_block &= fibers[i].state == State::kAtBlockBarrier || fibers[i].state == State::kDone;
  }
  for (std::size_t i = 0; i < machine.count; ++i) {
    if (fibers[i].state == State::kAtBlockBarrier && all_at_block) {
      fibers[i].state = State::kReady;
      released = true;
    }
    if (fibers[i].state != State::kAtWarpBarrier) continue;
    const std::size_t warp = i / kWarp * kWarp;
    const unsigned mask = fibers[i].mask;
    bool complete = true;
    for (unsigned l = 0; l < kWarp && warp + l < machine.count; ++l) {
      const Fiber& other = fibers[warp + l];
      if (!(mask >> l & 1) || other.state == State::kDone) continue;
      complete &= other.state == State::kAtWarpBarrier && other.mask == mask;
    }
    if (!complete) continue;
    for (unsigned l = 0; l < kWarp && warp + l < machine.count; ++l) {
      Fiber& other = fibers[warp + l];
      if ((mask >> l & 1) && other.state != State::kDone) other.state = State::kReady;
    }
    released = true;
  }
  return released;
}

inline std::vector<std::size_t> thread_order() {
  std::vector<std::size_t> order(machine.count);
  std::iota(order.begin(), order.end(), 0);
  const char* name = std::getenv("PGNFACE_EMULATED_ORDER");
  if (name && std::string(name) == "reverse") std::reverse(order.begin(), order.end());
  if (name && std::string(name) == "random") {
    std::shuffle(order.begin(), order.end(), std::mt19937(blockIdx.x + 1));
  }
  return order;
}

inline void run_block() {
  machine.count = blockDim.count();
  if (machine.fibers.size() < machine.count) machine.fibers.resize(machine.count);
  machine.slots.assign((machine.count + kWarp - 1) / kWarp * kWarp, 0);
  for (std::size_t i = 0; i < machine.count; ++i) {
    Fiber& fiber = machine.fibers[i];
    const unsigned x = unsigned(i), plane = blockDim.x * blockDim.y;
    fiber.index = {x % blockDim.x, x / blockDim.x % blockDim.y, x / plane};
    fiber.state = State::kReady;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = &machine.scheduler;
    makecontext(&fiber.context, run_fiber, 0);
  }
  const auto order = thread_order();
  std::size_t done = 0;
  while (done < machine.count) {
    for (const std::size_t i : order) {
      Fiber& fiber = machine.fibers[i];
      if (fiber.state != State::kReady) continue;
      machine.current = i;
      threadIdx = fiber.index;
      swapcontext(&machine.scheduler, &fiber.context);
      if (!machine.error.empty()) throw std::runtime_error("emulated CUDA: " + machine.error);
      done += fiber.state == State::kDone;
    }
    if (done < machine.count && !release()) {
      throw std::runtime_error("emulated CUDA: threads wait at a barrier that others never reach");
    }
  }
}

template <typename Call>
auto configure(Call call, dim3 grid, dim3 block, std::size_t shared = 0, void* = nullptr) {
  return [=](auto... values) {
    if (block.count() == 0 || block.count() > 1024 || grid.count() == 0 || grid.y > 65535 ||
        grid.z > 65535 || shared > 227 << 10) {
      throw std::runtime_error("emulated CUDA: launch configuration out of range");
    }
    std::lock_guard<std::mutex> lock(machine.busy);
    machine.kernel = [&] { call(values...); };
    machine.dynamic_shared.resize(shared / sizeof(std::max_align_t) + 1);
    machine.error.clear();
    gridDim = grid;
    blockDim = block;
    for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z) {
      for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y) {
        for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) run_block();
      }
    }
  };
}

inline void warp_barrier(unsigned mask) {
  if (!(mask >> lane() & 1)) fail("a warp operation whose mask lacks the caller");
  yield(State::kAtWarpBarrier, mask);
}

// Every lane of the mask offers a value; read(slots of the warp) makes each lane's result.
template <typename T, typename Read>
auto exchange(unsigned mask, T value, const Read& read) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  std::uint64_t* slots = machine.slots.data() + flat_thread() / kWarp * kWarp;
  std::memcpy(slots + lane(), &value, sizeof(T));
  warp_barrier(mask);
  const auto result = read([&](unsigned from) {
    if (!(mask >> from & 1)) fail("a value of a lane outside the mask");
    T other;
    std::memcpy(&other, slots + from, sizeof(T));
    return other;
  });
  warp_barrier(mask);
  return result;
}

template <typename T>
T shuffle(unsigned mask, T value, unsigned from, unsigned width, bool inside) {
  (void)width;
  return exchange(mask, value, [&](const auto& of) { return of(inside ? from : lane()); });
}

template <typename T, typename Combine>
T reduce(unsigned mask, T value, const Combine& combine) {
  return exchange(mask, value, [&](const auto& of) {
    bool first = true;
    T total{};
    for (unsigned l = 0; l < kWarp; ++l) {
      if (!(mask >> l & 1)) continue;
      total = first ? of(l) : combine(total, of(l));
      first = false;
    }
    return total;
  });
}

}  // namespace emulation

inline void __syncthreads() { emulation::yield(emulation::State::kAtBlockBarrier); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { emulation::warp_barrier(mask); }
inline void __threadfence() {}
inline void __threadfence_block() {}

template <typename T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
  const unsigned base = emulation::lane() / width * width;
  return emulation::shuffle(mask, value, base + unsigned(from) % width, width, true);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  const unsigned from = emulation::lane() ^ bits;
  return emulation::shuffle(mask, value, from, width, from / width <= emulation::lane() / width);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const unsigned from = emulation::lane() + delta;
  return emulation::shuffle(mask, value, from, width, from / width == emulation::lane() / width);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const unsigned lane = emulation::lane();
  return emulation::shuffle(mask, value, lane - delta, width, delta <= lane % width);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return emulation::reduce(mask, predicate ? 1u << emulation::lane() : 0u,
                           [](unsigned a, unsigned b) { return a | b; });
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) {
  return emulation::reduce(mask, int(predicate != 0), [](int a, int b) { return a & b; });
}
template <typename T>
unsigned __match_any_sync(unsigned mask, T value) {
  return emulation::exchange(mask, value, [&](const auto& of) {
    unsigned same = 0;
    for (unsigned l = 0; l < 32; ++l) {
      if (mask >> l & 1) same |= unsigned(of(l) == value) << l;
    }
    return same;
  });
}
template <typename T>
T __reduce_add_sync(unsigned mask, T value) {
  return emulation::reduce(mask, value, [](T a, T b) { return a + b; });
}
template <typename T>
T __reduce_max_sync(unsigned mask, T value) {
  return emulation::reduce(mask, value, [](T a, T b) { return std::max(a, b); });
}
template <typename T>
T __reduce_min_sync(unsigned mask, T value) {
  return emulation::reduce(mask, value, [](T a, T b) { return std::min(a, b); });
}
inline int __syncthreads_or(int predicate) {
  static int any;
  __syncthreads();
  any = 0;
  __syncthreads();
  any |= predicate != 0;
  __syncthreads();
  return any;
}

template <typename T, typename V>
T atomicAdd(T* target, V value) {
  const T before = *target;
  *target = before + T(value);
  return before;
}
template <typename T, typename V>
T atomicMin(T* target, V value) {
  const T before = *target;
  *target = std::min(before, T(value));
  return before;
}
template <typename T, typename V>
T atomicMax(T* target, V value) {
  const T before = *target;
  *target = std::max(before, T(value));
  return before;
}
template <typename T, typename V>
T atomicExch(T* target, V value) {
  const T before = *target;
  *target = T(value);
  return before;
}
template <typename T, typename V>
T atomicCAS(T* target, V expected, V value) {
  const T before = *target;
  if (before == T(expected)) *target = T(value);
  return before;
}

template <typename A, typename B>
constexpr auto min(A a, B b) {
  using C = std::common_type_t<A, B>;
  return C(a) < C(b) ? C(a) : C(b);
}
template <typename A, typename B>
constexpr auto max(A a, B b) {
  using C = std::common_type_t<A, B>;
  return C(a) < C(b) ? C(b) : C(a);
}
template <typename To, typename From>
To emulated_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
inline unsigned __float_as_uint(float x) { return emulated_bits<unsigned>(x); }
inline int __float_as_int(float x) { return emulated_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return emulated_bits<float>(x); }
inline float __int_as_float(int x) { return emulated_bits<float>(x); }
// Rounds to nearest and saturates, as the hardware does; NaN becomes 0.
inline int __float2int_rn(float x) {
  if (std::isnan(x)) return 0;
  const double rounded = std::nearbyint(double(x));
  return int(std::clamp(rounded, -2147483648.0, 2147483647.0));
}
inline int __clz(unsigned x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(unsigned long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __ffs(unsigned x) { return __builtin_ffs(int(x)); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
template <typename T>
T __ldg(const T* address) {
  return *address;
}

using cudaStream_t = struct CUstream_st*;
using cudaError_t = int;
enum { cudaSuccess = 0 };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
inline const char* cudaGetErrorString(cudaError_t) { return "emulated"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = 4;
  return cudaSuccess;
}
template <typename Kernel>
cudaError_t cudaFuncSetAttribute(Kernel*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* target, int value, std::size_t bytes, cudaStream_t) {
  std::memset(target, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, int,
                                   cudaStream_t) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
