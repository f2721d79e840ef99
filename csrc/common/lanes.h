// Eight items side by side: one value of each in a vector. The same maths, written once for a
// scalar type, then handles eight items with every instruction.
//
// The vectors are the compiler's own (GCC and Clang), so any processor can run them; where they are
// wider than its registers the compiler splits them. What a lane holds never reaches another, so a
// result does not depend on the items beside it.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "common/macros.h"

namespace pgnface {

// Scalar counterparts, for code that is written for both.
PGNFACE_HD double select(bool condition, double a, double b) { return condition ? a : b; }
PGNFACE_HD float select(bool condition, float a, float b) { return condition ? a : b; }
PGNFACE_HD bool any(bool condition) { return condition; }
PGNFACE_HD bool both(bool a, bool b) { return a && b; }
PGNFACE_HD bool either(bool a, bool b) { return a || b; }
PGNFACE_HD double square_root(double a) { return std::sqrt(a); }
PGNFACE_HD float square_root(float a) { return std::sqrt(a); }
PGNFACE_HD float single_of(double a) { return static_cast<float>(a); }
PGNFACE_HD double double_of(float a) { return a; }
PGNFACE_HD double double_of(double a) { return a; }

#ifndef __CUDACC__

constexpr int kLanes = 8;

template <typename T>
struct LanesOf {
  typedef T type __attribute__((vector_size(kLanes * sizeof(T))));
};
template <typename T>
using Lanes = typename LanesOf<T>::type;

// Always inlined: how a vector is passed depends on the instruction set of caller and callee.

PGNFACE_HD Lanes<double> select(Lanes<std::int64_t> condition, Lanes<double> a, Lanes<double> b) {
  return condition ? a : b;
}
PGNFACE_HD Lanes<float> select(Lanes<std::int32_t> condition, Lanes<float> a, Lanes<float> b) {
  return condition ? a : b;
}

PGNFACE_HD bool any(Lanes<std::int64_t> condition) {
  std::int64_t joined = 0;
  for (int i = 0; i < kLanes; ++i) joined |= condition[i];
  return joined != 0;
}

// True is -1. The sums are for GCC, which takes & and | of two comparisons apart, lane by lane.
PGNFACE_HD Lanes<std::int64_t> both(Lanes<std::int64_t> a, Lanes<std::int64_t> b) {
  return a + b < -1;
}
PGNFACE_HD Lanes<std::int64_t> either(Lanes<std::int64_t> a, Lanes<std::int64_t> b) {
  return a + b < 0;
}

template <typename V>
PGNFACE_HD V each_square_root(V a) {
  V result;
  for (int i = 0; i < kLanes; ++i) result[i] = std::sqrt(a[i]);
  return result;
}
PGNFACE_HD Lanes<double> square_root(Lanes<double> a) { return each_square_root(a); }
PGNFACE_HD Lanes<float> square_root(Lanes<float> a) { return each_square_root(a); }

PGNFACE_HD Lanes<float> single_of(Lanes<double> a) {
  return __builtin_convertvector(a, Lanes<float>);
}
PGNFACE_HD Lanes<double> double_of(const Lanes<float>& a) {
  return __builtin_convertvector(a, Lanes<double>);
}
PGNFACE_HD Lanes<double> double_of(Lanes<double> a) { return a; }

#endif  // __CUDACC__

}  // namespace pgnface
