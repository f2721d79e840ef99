// The maths of one solve_pose item: moments, fit and gradients; see solve_pose.h for the contract.
//
// R is double, or Lanes<double> for eight items at once.
#pragma once

#include "common/macros.h"
#include "common/matrix3.h"
#include "solve_pose/polar_rotation.h"

namespace pgnface {

// How exactly a type's rounded inputs can determine a pose.
struct PoseTolerance {
  PolarTolerance polar;
  double exact;  // a squared residual below this part of the target's variance is summed over the
                 // points: as a difference of moments it would lose too many digits
};
template <typename T>
PGNFACE_HD constexpr PoseTolerance pose_tolerance();
template <>
PGNFACE_HD constexpr PoseTolerance pose_tolerance<float>() {
  return {{1e-12, 1e-12, 1e-6, 1e-3}, 1e-8};
}
template <>
PGNFACE_HD constexpr PoseTolerance pose_tolerance<double>() {
  return {{1e-14, 1e-15, 1e-9, 1},
          1};  // neither the closed form nor the difference is exact enough
}

// Weighted moments: sums until they are finished. x, y: source and target less their means.
template <typename R>
struct Moments {
  R weight, inverse_weight;
  Vector3<R> source_mean, target_mean;
  R source_variance, target_variance;
  Matrix3<R> covariance;  // target (outer) source
};

// What a point counts: a negative weight as zero; NaN stays.
template <typename R>
PGNFACE_HD R usable_weight(const R& w) {
  return select(w < 0, R{}, w);
}

// A point without weight is ignored whatever its coordinates, so they are taken as zero.
template <typename R>
PGNFACE_HD Vector3<R> usable_point(const R& weight, const Vector3<R>& point) {
  return select(weight == 0, Vector3<R>{}, point);
}

template <typename R>
PGNFACE_HD void add_to_means(Moments<R>& m, const R& w, const Vector3<R>& source,
                             const Vector3<R>& target) {
  m.weight += w;
  m.source_mean = m.source_mean + w * source;
  m.target_mean = m.target_mean + w * target;
}

template <typename R>
PGNFACE_HD void finish_means(Moments<R>& m) {
  const R zero{};
  m.weight = select(m.weight < 2.3e-308, zero, m.weight);  // its inverse would not be finite
  m.inverse_weight = select(m.weight == 0, zero, 1 / m.weight);
  m.source_mean = m.inverse_weight * m.source_mean;
  m.target_mean = m.inverse_weight * m.target_mean;
}

template <typename R>
PGNFACE_HD void add_to_spread(Moments<R>& m, const R& w, const Vector3<R>& x, const Vector3<R>& y) {
  const Vector3<R> weighted = w * y;
  m.source_variance += w * dot(x, x);
  m.target_variance += dot(weighted, y);
  m.covariance = m.covariance + outer(weighted, x);
}

template <typename R>
PGNFACE_HD void finish_spread(Moments<R>& m) {
  m.source_variance *= m.inverse_weight;
  m.target_variance *= m.inverse_weight;
  m.covariance = m.inverse_weight * m.covariance;
}

// A pose, and what its gradient needs; kept between the passes as kPoseState doubles an item.
template <typename R>
struct PoseState {
  R inverse_weight;
  Vector3<R> source_mean, target_mean;
  R inverse_variance;  // of the source; 0 where the source has no extent and the scale is fixed
  R scale;
  Matrix3<R> rotation;
  Vector3<R> turn[2];  // as in PolarRotation
  R residual;
};
constexpr int kPoseState = 25;
static_assert(sizeof(PoseState<double>) == kPoseState * sizeof(double));

template <typename R>
PGNFACE_HD PoseState<R> fit_pose(const Moments<R>& m, const PoseTolerance& tolerance) {
  const R zero{};
  const double rounding = 1e-28;  // relative to the square of the distance from the origin
  const auto extends = m.source_variance > rounding * dot(m.source_mean, m.source_mean);
  const auto moves =
      both(extends, m.target_variance > rounding * dot(m.target_mean, m.target_mean));
  const R size = square_root(m.source_variance) * square_root(m.target_variance);
  const PolarRotation<R> polar =
      polar_rotation(select(moves, m.covariance, Matrix3<R>{}), size, tolerance.polar);
  PoseState<R> fit;
  fit.inverse_variance = select(extends, 1 / m.source_variance, zero);
  fit.scale = select(extends, polar.trace * fit.inverse_variance, zero + 1);
  fit.rotation = polar.rotation;
  for (int i = 0; i < 2; ++i) fit.turn[i] = polar.turn[i];
  // The mean squared residual for now.
  fit.residual = m.target_variance - fit.scale * (2 * polar.trace - fit.scale * m.source_variance);
  fit.source_mean = m.source_mean;
  fit.target_mean = m.target_mean;
  // A sum of infinities or NaN is not finite; products of finite sums stay in range. Every result
  // and gradient has one of these as a factor or a term.
  const R total = m.weight + m.source_variance + m.target_variance;
  const R poison = total - total;
  fit.inverse_weight = m.inverse_weight + poison;
  fit.scale += poison;
  fit.residual += poison;
  fit.target_mean = fit.target_mean + Vector3<R>{{poison, poison, poison}};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) fit.rotation[i][j] += poison;
  }
  return fit;
}

// What is left of a point; x and y as above.
template <typename R>
PGNFACE_HD Vector3<R> point_error(const PoseState<R>& fit, const Vector3<R>& x,
                                  const Vector3<R>& y) {
  return y - fit.scale * (fit.rotation * x);
}

template <typename R>
PGNFACE_HD Vector3<R> translation_of(const PoseState<R>& fit) {
  return fit.target_mean - fit.scale * (fit.rotation * fit.source_mean);
}

// The gradient of a point, less its share of the weight, is linear in it:
//   by source: along x + joint^T y + source,   by target: joint x + across y + target
//   by weight: y . covariance x + variance |x|^2 + source . x + target . y
//              + across / 2 (|error|^2 - residual^2)
// where covariance and variance are the gradients by these moments.
template <typename R>
struct PointGradients {
  Matrix3<R> joint, covariance;
  R along, across, variance;
  Vector3<R> source, target;
};

// From the gradients by scale, rotation, translation and residual. A change dS of the covariance
// turns the rotation by rotation @ [omega]x with omega = turn vee(M - M^T), M = rotation^T dS;
// where the rotation about an axis is not determined, or jumps, turn is damped, so the gradient is
// zero there and finite everywhere. The residual is at its minimum over the pose, so its gradient
// has no term through the pose (envelope theorem).
template <typename R>
PGNFACE_HD PointGradients<R> point_gradients(const PoseState<R>& fit, R grad_scale,
                                             const Matrix3<R>& grad_rotation,
                                             const Vector3<R>& grad_translation,
                                             const R& grad_residual) {
  const R zero{};
  PointGradients<R> grad;
  // translation = target_mean - scale * rotation @ source_mean
  grad.target = grad_translation;
  grad.source = -fit.scale * transposed_times(fit.rotation, grad_translation);
  grad_scale -= dot(grad_translation, fit.rotation * fit.source_mean);
  const Matrix3<R> by_rotation =
      grad_rotation + -fit.scale * outer(grad_translation, fit.source_mean);

  // scale = trace(rotation^T S) / v; the rotation is optimal, so it contributes nothing here.
  const R by_trace = grad_scale * fit.inverse_variance;
  grad.variance = -by_trace * fit.scale;
  // rotation: h = turn vee(A - A^T), A = R^T grad; S gets R [h]x.
  Matrix3<R> a;
  for (int i = 0; i < 3; ++i) {
    a[i] = transposed_times(
        by_rotation, Vector3<R>{{fit.rotation[0][i], fit.rotation[1][i], fit.rotation[2][i]}});
  }
  const Vector3<R> vee{{a[2][1] - a[1][2], a[0][2] - a[2][0], a[1][0] - a[0][1]}};
  const Vector3<R>&d = fit.turn[0], &o = fit.turn[1];
  const Vector3<R> h{{d[0] * vee[0] + o[2] * vee[1] + o[1] * vee[2],
                      o[2] * vee[0] + d[1] * vee[1] + o[0] * vee[2],
                      o[1] * vee[0] + o[0] * vee[1] + d[2] * vee[2]}};

  const R factor = select(fit.residual > 0, grad_residual / fit.residual, zero);
  grad.along = 2 * grad.variance + factor * fit.scale * fit.scale;
  grad.across = factor;
  for (int i = 0; i < 3; ++i) {
    grad.covariance[i] = by_trace * fit.rotation[i] + cross(fit.rotation[i], h);
    grad.joint[i] = grad.covariance[i] - (factor * fit.scale) * fit.rotation[i];
  }
  return grad;
}

// The gradients of one point; of no use where the weight or the item has none.
template <typename R>
PGNFACE_HD Vector3<R> by_source(const PointGradients<R>& grad, const Vector3<R>& x,
                                const Vector3<R>& y) {
  return grad.along * x + transposed_times(grad.joint, y) + grad.source;
}

template <typename R>
PGNFACE_HD Vector3<R> by_target(const PointGradients<R>& grad, const Vector3<R>& x,
                                const Vector3<R>& y) {
  return grad.joint * x + grad.across * y + grad.target;
}

template <typename R>
PGNFACE_HD R by_weight(const PoseState<R>& fit, const PointGradients<R>& grad, const R& w,
                       const Vector3<R>& x, const Vector3<R>& y) {
  const Vector3<R> e = point_error(fit, x, y);
  const R value = dot(y, grad.covariance * x + grad.target) + grad.variance * dot(x, x) +
                  dot(grad.source, x) + grad.across * (dot(e, e) - fit.residual * fit.residual) / 2;
  // A point that is left out may have any coordinates.
  const auto defined = both(w >= 0, value - value == 0);
  return select(defined, value, R{}) * fit.inverse_weight;
}

}  // namespace pgnface
