// Barriers, and what the lanes of a warp tell one another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulation/machine.h"

namespace emulation {

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

// The value of another lane, or my own where that one is outside my segment of the warp.
template <typename T>
T shuffle(unsigned mask, T value, unsigned from, bool inside) {
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
  return emulation::shuffle(mask, value, base + unsigned(from) % width, true);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  const unsigned from = emulation::lane() ^ bits;
  return emulation::shuffle(mask, value, from, from / width <= emulation::lane() / width);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const unsigned from = emulation::lane() + delta;
  return emulation::shuffle(mask, value, from, from / width == emulation::lane() / width);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const unsigned lane = emulation::lane();
  return emulation::shuffle(mask, value, lane - delta, delta <= lane % width);
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
