// The rotation part of a 3x3 matrix, in double: in closed form where it is well determined, by
// one-sided Jacobi, which is robust for any rank, where it is not.
//
// R is double, or Lanes<double> for eight matrices at once; hence selections instead of branches.
#pragma once

#include "common/lanes.h"
#include "common/macros.h"
#include "common/matrix3.h"

// What is seldom needed gets no registers of the kernels that may call it.
#ifdef __CUDACC__
#define PGNFACE_RARE __host__ __device__ __noinline__
#else
#define PGNFACE_RARE PGNFACE_HD
#endif

namespace pgnface {

template <typename R>
PGNFACE_HD R magnitude(const R& a) {
  return select(a < 0, -a, a);
}

// 1 / sqrt(1 + t^2) for |t| <= 1, from its value in single precision by one step of third order.
template <typename R>
PGNFACE_HD R cosine_of(const R& t) {
  const R square = 1 + t * t;
  const R guess = double_of(1 / square_root(single_of(square)));
  const R error = 1 - square * guess * guess;
  return guess + guess * error * (0.5 + 0.375 * error);
}

// One-sided Jacobi (Hestenes): turns the columns a, b of S V so that they are orthogonal; returns
// where they were not. The angle is found in single precision, which costs a fraction of double;
// the turn by it is exact to double, and what the angle misses is left for the next sweep.
template <typename R>
PGNFACE_HD auto orthogonalize(Vector3<R>& a, Vector3<R>& b, Vector3<R>& va, Vector3<R>& vb,
                              double tolerance) {
  const R aa = dot(a, a), bb = dot(b, b), ab = dot(a, b);
  // The columns' entries are at most 1; products below 1e-30 are far below what counts as zero.
  const auto turns = both(ab * ab > tolerance * tolerance * aa * bb, ab * ab > R{} + 1e-60);
  const auto zeta = single_of((bb - aa) / 2) / single_of(ab);
  const auto size = zeta < 0 ? -zeta : zeta;
  const auto bounded = size < 1e9f ? size : size * 0 + 1e9f;  // its square must not overflow
  const auto root = square_root(1 + bounded * bounded);
  const auto tangent = 1 / (size + (root > size ? root : size));
  const R t = select(turns, double_of(zeta < 0 ? -tangent : tangent), R{});
  const R c = cosine_of(t), s = c * t;
  const Vector3<R> old_a = a, old_va = va;
  a = c * a - s * b;
  b = s * old_a + c * b;
  va = c * va - s * vb;
  vb = s * old_va + c * vb;
  return turns;
}

template <typename R>
PGNFACE_HD Matrix3<R> identity_matrix() {
  const R zero{}, one = zero + 1;
  return {{{{one, zero, zero}}, {{zero, one, zero}}, {{zero, zero, one}}}};
}

template <typename M, typename R>
PGNFACE_HD Vector3<R> select(const M& condition, const Vector3<R>& a, const Vector3<R>& b) {
  return {select(condition, a[0], b[0]), select(condition, a[1], b[1]),
          select(condition, a[2], b[2])};
}

template <typename M, typename R>
PGNFACE_HD Matrix3<R> select(const M& condition, const Matrix3<R>& a, const Matrix3<R>& b) {
  return {{select(condition, a[0], b[0]), select(condition, a[1], b[1]),
           select(condition, a[2], b[2])}};
}

// Any unit vector orthogonal to the unit vector a.
template <typename R>
PGNFACE_HD Vector3<R> orthogonal_to(const Vector3<R>& a) {
  const R x = magnitude(a[0]), y = magnitude(a[1]), z = magnitude(a[2]);
  const R zero{};
  const auto first = both(x <= y, x <= z);
  // a cross the axis with the smallest component of a
  const Vector3<R> b =
      select(first, Vector3<R>{{zero, a[2], -a[1]}},
             select(y <= z, Vector3<R>{{-a[2], zero, a[0]}}, Vector3<R>{{a[1], -a[0], zero}}));
  return (1 / square_root(dot(b, b))) * b;
}

// The smallest rotation that takes the unit vector a to the unit vector b.
template <typename R>
PGNFACE_HD Matrix3<R> smallest_rotation(const Vector3<R>& a, const Vector3<R>& b) {
  const R cosine = dot(a, b);
  // Near half a turn: half a turn about an axis orthogonal to a, then on from -a to b.
  const auto opposite = cosine < R{} - (1 - 1e-6);
  const R sign = select(opposite, R{} - 1, R{} + 1);
  const Vector3<R> axis = cross(sign * a, b);
  const R factor = 1 / (1 + sign * cosine), zero{};
  const Matrix3<R> skew{
      {{{zero, -axis[2], axis[1]}}, {{axis[2], zero, -axis[0]}}, {{-axis[1], axis[0], zero}}}};
  Matrix3<R> square = outer(axis, axis);
  for (int i = 0; i < 3; ++i) square[i][i] -= dot(axis, axis);
  const Matrix3<R> rotation = identity_matrix<R>() + skew + factor * square;
  const Vector3<R> e = orthogonal_to(a);
  const R two = zero + 2;
  return select(opposite, two * outer(rotation * e, e) + (zero - 1) * rotation, rotation);
}

// A rotation with S = rotation * P, P symmetric with eigenvectors e_i and eigenvalues d_i: the
// first two eigenvalues are not negative and descend, the last has the sign of det S.
template <typename R>
struct PolarRotation {
  Matrix3<R> rotation;
  R trace;             // of P
  Vector3<R> turn[2];  // sum_i e_i e_i^T / (d_j + d_k), {i, j, k} = {0, 1, 2}: the diagonal, then
                       // the entries 12, 02 and 01; damped where the sum vanishes
};

struct PolarTolerance {
  double rank;        // relative to `size`: below it a singular value cannot be told from zero
  double orthogonal;  // the cosine between two directions that counts as none
  double damping;     // relative to d_0: below it a sum of two eigenvalues counts as none
  double determined;  // relative to trace^3: above it the product of those sums allows the closed
                      // form, whose rounding errors grow with its inverse
};

// Markley's closed form (FOAM, J. Astronautical Sciences 1993). The trace l of P is the largest
// root of (l^2 - |S|^2)^2 - 8 l det S - 4 |cof S|^2, and with k = (l^2 - |S|^2) / 2
//   rotation = ((k + |S|^2) S + l cof S - S S^T S) / (k l - det S)
// `bound` is not below the trace. Returns where the result can be relied on.
template <typename R>
PGNFACE_HD auto quick_polar_rotation(const Matrix3<R>& s, const R& bound, double determined,
                                     PolarRotation<R>& polar) {
  const R zero{};
  const Matrix3<R> cofactors{{cross(s[1], s[2]), cross(s[2], s[0]), cross(s[0], s[1])}};
  const R norm = inner(s, s), det = dot(s[0], cofactors[0]);
  const R minors = 4 * inner(cofactors, cofactors);
  R trace = square_root(3 * norm);
  trace = select(bound < trace, bound, trace);
  auto moving = trace > zero;
  for (int step = 0; step < 12 && any(moving); ++step) {  // Newton's steps descend to the root
    const R k = trace * trace - norm;
    const R change = (k * k - 8 * trace * det - minors) / (4 * trace * k - 8 * det);
    trace = select(moving, trace - change, trace);
    moving = both(moving, magnitude(change) > 1e-8 * trace);
  }
  const R k = (trace * trace - norm) / 2, product = k * trace - det;
  const auto reliable = both(product > determined * trace * trace * trace, moving == 0);
  const R inverse = 1 / product;
  Matrix3<R> gram;
  for (int i = 0; i < 3; ++i) gram[i] = s * s[i];  // S S^T
  for (int i = 0; i < 3; ++i) {
    polar.rotation[i] = inverse * ((k + norm) * s[i] + trace * cofactors[i] -
                                   (gram[i][0] * s[0] + gram[i][1] * s[1] + gram[i][2] * s[2]));
  }
  polar.trace = trace;
  // The inverse of B = trace I - P, whose determinant is the product.
  Matrix3<R> p;
  for (int i = 0; i < 3; ++i) {
    p[i] = polar.rotation[0][i] * s[0] + polar.rotation[1][i] * s[1] + polar.rotation[2][i] * s[2];
  }
  const R a = p[1][1] + p[2][2], b = p[0][0] + p[2][2], c = p[0][0] + p[1][1];
  const R d = -p[1][2], e = -p[0][2], f = -p[0][1];
  polar.turn[0] = inverse * Vector3<R>{{b * c - d * d, a * c - e * e, a * b - f * f}};
  polar.turn[1] = inverse * Vector3<R>{{e * f - a * d, d * f - b * e, d * e - c * f}};
  return reliable;
}

// Any matrix whose largest entry is 1 in size, and zero. `noise` is the size below which a singular
// value cannot be told from zero: with one above it the smallest of the possible rotations is
// taken, with none the identity.
template <typename R>
PGNFACE_RARE PolarRotation<R> jacobi_polar_rotation(const Matrix3<R>& s, const R& noise,
                                                    const PolarTolerance& tolerance) {
  const R zero{};
  Matrix3<R> axis = identity_matrix<R>(), column;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) column[j][i] = s[i][j];
  }
  for (int sweep = 0; sweep < 16; ++sweep) {
    auto turned = orthogonalize(column[0], column[1], axis[0], axis[1], tolerance.orthogonal);
    turned =
        either(turned, orthogonalize(column[0], column[2], axis[0], axis[2], tolerance.orthogonal));
    turned =
        either(turned, orthogonalize(column[1], column[2], axis[1], axis[2], tolerance.orthogonal));
    if (!any(turned)) break;
  }
  R square[3];
  for (int i = 0; i < 3; ++i) square[i] = dot(column[i], column[i]);
  const auto order = [&](int i, int j) {
    const auto swaps = square[i] < square[j];
    const Vector3<R> c = column[i], a = axis[i];
    const R l = square[i];
    column[i] = select(swaps, column[j], c), column[j] = select(swaps, c, column[j]);
    axis[i] = select(swaps, axis[j], a), axis[j] = select(swaps, a, axis[j]);
    square[i] = select(swaps, square[j], l), square[j] = select(swaps, l, square[j]);
  };
  order(0, 1), order(0, 2), order(1, 2);

  const R length0 = square_root(square[0]), length1 = square_root(square[1]);
  const auto line = length0 > noise, plane = length1 > noise;  // determined directions
  const Vector3<R> u0 = (1 / length0) * column[0];
  const Vector3<R> u1 = (1 / length1) * column[1], u2 = cross(u0, u1);
  axis[2] = cross(axis[0], axis[1]);
  const Matrix3<R> full = outer(u0, axis[0]) + outer(u1, axis[1]) + outer(u2, axis[2]);
  PolarRotation<R> polar;
  polar.rotation =
      select(plane, full, select(line, smallest_rotation(axis[0], u0), identity_matrix<R>()));
  const R value[3] = {select(line, length0, zero), select(plane, length1, zero),
                      select(plane, dot(u2, s * axis[2]), zero)};  // negative for a reflection
  polar.trace = value[0] + value[1] + value[2];
  const R floor = tolerance.damping * value[0];
  polar.turn[0] = polar.turn[1] = Vector3<R>{};
  for (int i = 0; i < 3; ++i) {
    const R sum = value[(i + 1) % 3] + value[(i + 2) % 3], norm = sum * sum + floor * floor;
    const Vector3<R> scaled = select(norm > 0, sum / norm, zero) * axis[i], &e = axis[i];
    polar.turn[0] =
        polar.turn[0] + Vector3<R>{{scaled[0] * e[0], scaled[1] * e[1], scaled[2] * e[2]}};
    polar.turn[1] =
        polar.turn[1] + Vector3<R>{{scaled[1] * e[2], scaled[0] * e[2], scaled[0] * e[1]}};
  }
  return polar;
}

// The rotation with determinant +1 that has the largest trace(rotation^T S). `size` bounds that
// trace.
template <typename R>
PGNFACE_HD PolarRotation<R> polar_rotation(const Matrix3<R>& covariance, const R& size,
                                           const PolarTolerance& tolerance) {
  const R zero{};
  R largest{};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      const R entry = magnitude(covariance[i][j]);
      largest = select(entry > largest, entry, largest);
    }
  }
  // The inverse of anything smaller would overflow.
  const auto nonzero = both(largest > tolerance.rank * size, largest > zero + 1e-300);
  const R inverse = select(nonzero, 1 / largest, zero);
  const Matrix3<R> s = inverse * covariance;
  const R noise = tolerance.rank * size * inverse;
  PolarRotation<R> polar;
  const auto reliable =
      both(quick_polar_rotation(s, size * inverse, tolerance.determined, polar), noise < 1e-4);
  if (any(reliable == 0)) {
    const PolarRotation<R> robust = jacobi_polar_rotation(s, noise, tolerance);
    polar.rotation = select(reliable, polar.rotation, robust.rotation);
    polar.trace = select(reliable, polar.trace, robust.trace);
    for (int i = 0; i < 2; ++i) {
      polar.turn[i] = select(reliable, polar.turn[i], robust.turn[i]);
    }
  }
  polar.trace = select(nonzero, largest, zero) * polar.trace;
  for (int i = 0; i < 2; ++i) polar.turn[i] = inverse * polar.turn[i];
  return polar;
}

}  // namespace pgnface
