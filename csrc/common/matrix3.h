// Vectors and 3x3 matrices for per-item maths on both backends.
#pragma once

#include <cmath>

#include "common/macros.h"

namespace pgnface {

template <typename T>
struct Vector3 {
  T v[3];

  PGNFACE_HD T& operator[](int i) { return v[i]; }
  PGNFACE_HD const T& operator[](int i) const { return v[i]; }
};

template <typename T>
PGNFACE_HD Vector3<T> operator+(const Vector3<T>& a, const Vector3<T>& b) {
  return {a[0] + b[0], a[1] + b[1], a[2] + b[2]};
}

template <typename T>
PGNFACE_HD Vector3<T> operator-(const Vector3<T>& a, const Vector3<T>& b) {
  return {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
}

template <typename T>
PGNFACE_HD Vector3<T> operator*(T s, const Vector3<T>& a) {
  return {s * a[0], s * a[1], s * a[2]};
}

template <typename T>
PGNFACE_HD T dot(const Vector3<T>& a, const Vector3<T>& b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

template <typename T>
PGNFACE_HD Vector3<T> cross(const Vector3<T>& a, const Vector3<T>& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

// Row-major.
template <typename T>
struct Matrix3 {
  Vector3<T> row[3];

  PGNFACE_HD Vector3<T>& operator[](int i) { return row[i]; }
  PGNFACE_HD const Vector3<T>& operator[](int i) const { return row[i]; }

  static PGNFACE_HD Matrix3 identity() { return {{{{1, 0, 0}}, {{0, 1, 0}}, {{0, 0, 1}}}}; }
};

template <typename T>
PGNFACE_HD Matrix3<T> operator+(const Matrix3<T>& a, const Matrix3<T>& b) {
  return {{a[0] + b[0], a[1] + b[1], a[2] + b[2]}};
}

template <typename T>
PGNFACE_HD Matrix3<T> operator*(T s, const Matrix3<T>& a) {
  return {{s * a[0], s * a[1], s * a[2]}};
}

template <typename T>
PGNFACE_HD Vector3<T> operator*(const Matrix3<T>& a, const Vector3<T>& x) {
  return {dot(a[0], x), dot(a[1], x), dot(a[2], x)};
}

// a^T x
template <typename T>
PGNFACE_HD Vector3<T> transposed_times(const Matrix3<T>& a, const Vector3<T>& x) {
  return x[0] * a[0] + x[1] * a[1] + x[2] * a[2];
}

// a b^T
template <typename T>
PGNFACE_HD Matrix3<T> outer(const Vector3<T>& a, const Vector3<T>& b) {
  return {{a[0] * b, a[1] * b, a[2] * b}};
}

// Sum of the products of all entries: trace(a^T b).
template <typename T>
PGNFACE_HD T inner(const Matrix3<T>& a, const Matrix3<T>& b) {
  return dot(a[0], b[0]) + dot(a[1], b[1]) + dot(a[2], b[2]);
}

}  // namespace pgnface
