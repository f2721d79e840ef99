// Runs a grid: block by block, the threads of a block as fibers in turns, each until it ends or
// waits.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "emulation/language.h"

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

}  // namespace emulation
