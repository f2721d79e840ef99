// The rotation part of a 3x3 matrix, in double, by one-sided Jacobi: robust for any rank.
#pragma once

#include <cmath>

#include "common/macros.h"
#include "common/matrix3.h"

namespace pgnface {

using Vec = Vector3<double>;
using Mat = Matrix3<double>;

// Any unit vector orthogonal to the unit vector a.
PGNFACE_HD Vec orthogonal_to(const Vec& a) {
  int smallest = 0;
  for (int i = 1; i < 3; ++i) {
    if (std::fabs(a[i]) < std::fabs(a[smallest])) smallest = i;
  }
  Vec e{};
  e[smallest] = 1;
  const Vec b = cross(a, e);
  return (1 / std::sqrt(dot(b, b))) * b;
}

// The smallest rotation that takes the unit vector a to the unit vector b.
PGNFACE_HD Mat smallest_rotation(const Vec& a, const Vec& b) {
  const double cosine = dot(a, b);
  const bool opposite = cosine < -1 + 1e-6;
  // Near half a turn: half a turn about an axis orthogonal to a, then on from -a to b.
  const Vec axis = opposite ? cross(-1.0 * a, b) : cross(a, b);
  const double factor = 1 / (1 + (opposite ? -cosine : cosine));
  const Mat skew{{{{0, -axis[2], axis[1]}}, {{axis[2], 0, -axis[0]}}, {{-axis[1], axis[0], 0}}}};
  Mat square = outer(axis, axis);
  for (int i = 0; i < 3; ++i) square[i][i] -= dot(axis, axis);
  Mat rotation = Mat::identity() + skew + factor * square;
  if (opposite) {
    const Vec e = orthogonal_to(a);
    rotation = 2.0 * outer(rotation * e, e) + -1.0 * rotation;
  }
  return rotation;
}

// One-sided Jacobi (Hestenes): turns the columns a, b of S V so that they are orthogonal.
PGNFACE_HD bool orthogonalize(Vec& a, Vec& b, Vec& va, Vec& vb) {
  const double aa = dot(a, a), bb = dot(b, b), ab = dot(a, b);
  if (!(ab * ab > 1e-30 * aa * bb)) return false;
  const double zeta = (bb - aa) / (2 * ab);
  const double t = (zeta < 0 ? -1 : 1) / (std::fabs(zeta) + std::sqrt(1 + zeta * zeta));
  const double c = 1 / std::sqrt(1 + t * t), s = c * t;
  const Vec old_a = a, old_va = va;
  a = c * a - s * b;
  b = s * old_a + c * b;
  va = c * va - s * vb;
  vb = s * old_va + c * vb;
  return true;
}

// A rotation R with S = R P, and the eigenvectors and eigenvalues of the symmetric P. The first two
// eigenvalues are not negative and descend; the last has the sign of det S.
struct PolarRotation {
  Mat rotation;
  Vec axes[3];
  double values[3];
};

// The rotation with determinant +1 that has the largest trace(R^T S). `noise` is the size below
// which a singular value cannot be told from zero: with one singular value above it the smallest of
// the possible rotations is taken, with none the identity.
PGNFACE_HD PolarRotation polar_rotation(const Mat& covariance, double noise) {
  double largest = 0;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) largest = std::fmax(largest, std::fabs(covariance[i][j]));
  }
  PolarRotation polar{};
  polar.rotation = Mat::identity();
  for (int i = 0; i < 3; ++i) {
    polar.axes[i] = Mat::identity()[i];
    polar.values[i] = 0;
  }
  if (!(largest > noise)) return polar;

  Vec column[3], axis[3];
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) column[j][i] = covariance[i][j] / largest;
    axis[i] = Mat::identity()[i];
  }
  for (int sweep = 0; sweep < 16; ++sweep) {
    bool turned = orthogonalize(column[0], column[1], axis[0], axis[1]);
    turned |= orthogonalize(column[0], column[2], axis[0], axis[2]);
    turned |= orthogonalize(column[1], column[2], axis[1], axis[2]);
    if (!turned) break;
  }
  double length[3];
  for (int i = 0; i < 3; ++i) length[i] = std::sqrt(dot(column[i], column[i]));
  const auto order = [&](int i, int j) {
    if (length[i] >= length[j]) return;
    const Vec c = column[i], a = axis[i];
    const double l = length[i];
    column[i] = column[j], axis[i] = axis[j], length[i] = length[j];
    column[j] = c, axis[j] = a, length[j] = l;
  };
  order(0, 1), order(0, 2), order(1, 2);

  const Vec u0 = (1 / length[0]) * column[0];
  polar.axes[0] = axis[0];
  polar.axes[1] = axis[1];
  polar.axes[2] = cross(axis[0], axis[1]);
  polar.values[0] = largest * length[0];
  if (!(largest * length[1] > noise)) {
    polar.rotation = smallest_rotation(axis[0], u0);
    return polar;
  }
  const Vec u1 = (1 / length[1]) * column[1], u2 = cross(u0, u1);
  polar.rotation = outer(u0, polar.axes[0]) + outer(u1, polar.axes[1]) + outer(u2, polar.axes[2]);
  polar.values[1] = largest * length[1];
  polar.values[2] = dot(u2, covariance * polar.axes[2]);  // negative for a reflection
  return polar;
}

}  // namespace pgnface
