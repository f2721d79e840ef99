// Atomics, and functions of numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

template <typename T, typename Next>
T emulated_update(T* target, const Next& next) {
  const T before = *target;
  *target = next(before);
  return before;
}
template <typename T, typename V>
T atomicAdd(T* target, V value) {
  return emulated_update(target, [=](T before) { return before + T(value); });
}
template <typename T, typename V>
T atomicMin(T* target, V value) {
  return emulated_update(target, [=](T before) { return std::min(before, T(value)); });
}
template <typename T, typename V>
T atomicMax(T* target, V value) {
  return emulated_update(target, [=](T before) { return std::max(before, T(value)); });
}
template <typename T, typename V>
T atomicExch(T* target, V value) {
  return emulated_update(target, [=](T) { return T(value); });
}
template <typename T, typename V>
T atomicCAS(T* target, V expected, V value) {
  return emulated_update(target,
                         [=](T before) { return before == T(expected) ? T(value) : before; });
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
