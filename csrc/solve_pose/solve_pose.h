// Weighted similarity between two sets of corresponding points (Umeyama, PAMI 1991).
//
//   source, target (batch, count, 3); weights (batch, count) or null for ones
//   minimises sum_k w_k |target_k - (scale * rotation @ source_k + translation)|^2 over
//   scale (batch) >= 0, rotation (batch, 3, 3) with determinant +1, translation (batch, 3)
//   residual (batch): the weighted root mean square of those distances
//
// Everything inside an item is computed in double. The gradient is analytic. With the moments
//   S = sum w y x^T / W,  v = sum w |x|^2 / W   (x, y: source and target less their weighted means)
// and S = rotation @ P, P symmetric with eigenvectors e_i and eigenvalues d_i, a change dS turns
// the rotation by rotation @ [omega]x with
//   omega = sum_i e_i (e_i . vee(M - M^T)) / (d_j + d_k),   M = rotation^T dS,  {i, j, k} = {0, 1,
//   2}
// The quotient is damped where d_j + d_k vanishes (the rotation about e_i is not determined, or
// jumps), so it is zero there and finite everywhere. The residual is at its minimum over the pose,
// so its gradient has no term through the pose (envelope theorem).
//
// Results where the points do not determine everything:
//   - points of weight zero or less are ignored, whatever their coordinates;
//   - no weight at all: scale 1, rotation identity, translation 0, residual 0, no gradients;
//   - sources that coincide (a single point too): scale 1, rotation identity;
//   - targets that coincide: scale 0, rotation identity;
//   - collinear points: of the best rotations the one nearest to the identity;
//   - a coordinate or weight that is not finite, or whose square overflows a double: NaN for all
//     results and gradients of that item.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/context.h"
#include "common/macros.h"
#include "solve_pose/polar_rotation.h"

namespace pgnface {

// The points of one item.
template <typename T>
struct PointPairs {
  const T *source, *target, *weights;
  std::int64_t count;

  PGNFACE_HD double weight(std::int64_t k) const {
    if (!weights) return 1;
    const double w = weights[k];
    return w < 0 ? 0 : w;  // NaN stays
  }
  static PGNFACE_HD Vec point(const T* points, std::int64_t k) {
    return {double(points[3 * k]), double(points[3 * k + 1]), double(points[3 * k + 2])};
  }
};

// How exactly a type's rounded inputs can determine a direction, and where gradients are damped.
template <typename T>
struct PoseTolerance;
template <>
struct PoseTolerance<float> {
  static constexpr double rank = 1e-12, damping = 1e-6;
};
template <>
struct PoseTolerance<double> {
  static constexpr double rank = 1e-14, damping = 1e-9;
};

// Weighted moments of an item.
struct Moments {
  double weight;
  Vec source_mean, target_mean;
  double source_variance, target_variance;
  Mat covariance;  // target (outer) source
};

// A pose and what its gradient needs.
struct PoseFit {
  double scale;
  PolarRotation polar;
  Vec translation;
  bool scale_fixed;  // the source has no extent
};

// Both passes take the points begin, begin + step, ...; `sum` adds a value over all who share an
// item (the lanes of a CUDA group) and gives every one of them the same total.
template <typename T, typename Sum>
PGNFACE_HD Moments pose_moments(const PointPairs<T>& points, std::int64_t begin, std::int64_t step,
                                Sum sum) {
  Moments m{};
  for (std::int64_t k = begin; k < points.count; k += step) {
    const double w = points.weight(k);
    if (w == 0) continue;
    m.weight += w;
    m.source_mean = m.source_mean + w * points.point(points.source, k);
    m.target_mean = m.target_mean + w * points.point(points.target, k);
  }
  m.weight = sum(m.weight);
  if (m.weight < 2.3e-308) m.weight = 0;  // its inverse would not be finite
  const double inverse = m.weight == 0 ? 0 : 1 / m.weight;
  for (int i = 0; i < 3; ++i) {
    m.source_mean[i] = inverse * sum(m.source_mean[i]);
    m.target_mean[i] = inverse * sum(m.target_mean[i]);
  }
  for (std::int64_t k = begin; k < points.count; k += step) {
    const double w = points.weight(k);
    if (w == 0) continue;
    const Vec x = points.point(points.source, k) - m.source_mean;
    const Vec y = points.point(points.target, k) - m.target_mean;
    m.source_variance += w * dot(x, x);
    m.target_variance += w * dot(y, y);
    m.covariance = m.covariance + outer(w * y, x);
  }
  m.source_variance = inverse * sum(m.source_variance);
  m.target_variance = inverse * sum(m.target_variance);
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) m.covariance[i][j] = inverse * sum(m.covariance[i][j]);
  }
  return m;
}

PGNFACE_HD bool is_finite(const Moments& m) {
  // A sum of infinities or NaN is not finite; products of the finite sums stay in range.
  const double total = m.weight + m.source_variance + m.target_variance;
  return total - total == 0;
}

template <typename T>
PGNFACE_HD PoseFit fit_pose(const Moments& m) {
  PoseFit fit{};
  const double rounding = 1e-28;  // relative to the square of the distance from the origin
  const double source_size = dot(m.source_mean, m.source_mean);
  const double target_size = dot(m.target_mean, m.target_mean);
  fit.scale_fixed = !(m.source_variance > rounding * source_size);
  const bool moving = !fit.scale_fixed && m.target_variance > rounding * target_size;
  const double noise =
      PoseTolerance<T>::rank * std::sqrt(m.source_variance) * std::sqrt(m.target_variance);
  fit.polar = polar_rotation(moving ? m.covariance : Mat{}, noise);
  fit.scale = fit.scale_fixed ? 1
                              : (fit.polar.values[0] + fit.polar.values[1] + fit.polar.values[2]) /
                                    m.source_variance;
  fit.translation = m.target_mean - fit.scale * (fit.polar.rotation * m.source_mean);
  return fit;
}

// Sum of w |error|^2 over the points begin, begin + step, ...
template <typename T>
PGNFACE_HD double squared_error(const PointPairs<T>& points, const PoseFit& fit, std::int64_t begin,
                                std::int64_t step) {
  double total = 0;
  for (std::int64_t k = begin; k < points.count; k += step) {
    const double w = points.weight(k);
    if (w == 0) continue;
    const Vec e = points.point(points.target, k) - fit.translation -
                  fit.scale * (fit.polar.rotation * points.point(points.source, k));
    total += w * dot(e, e);
  }
  return total;
}

template <typename T, typename Sum>
PGNFACE_HD double fit_residual(const PointPairs<T>& points, const Moments& m, const PoseFit& fit,
                               std::int64_t begin, std::int64_t step, Sum sum) {
  const double total = sum(squared_error(points, fit, begin, step));
  return m.weight == 0 ? 0 : std::sqrt(total / m.weight);
}

// Gradients by the moments, given those by scale, rotation and translation.
struct MomentGradients {
  Vec source_mean, target_mean;
  double source_variance;
  Mat covariance;
};

template <typename T>
PGNFACE_HD MomentGradients moment_gradients(const Moments& m, const PoseFit& fit, double grad_scale,
                                            const Mat& grad_rotation, const Vec& grad_translation) {
  // translation = target_mean - scale * rotation @ source_mean
  MomentGradients grad{};
  grad.target_mean = grad_translation;
  grad.source_mean = -fit.scale * transposed_times(fit.polar.rotation, grad_translation);
  grad_scale -= dot(grad_translation, fit.polar.rotation * m.source_mean);
  const Mat by_rotation = grad_rotation + -fit.scale * outer(grad_translation, m.source_mean);

  // scale = trace(rotation^T S) / v; the rotation is optimal, so it contributes nothing here.
  if (!fit.scale_fixed) {
    grad.covariance = (grad_scale / m.source_variance) * fit.polar.rotation;
    grad.source_variance = -grad_scale * fit.scale / m.source_variance;
  }

  // rotation: h = sum_i e_i (e_i . a) / (d_j + d_k), a = vee(A - A^T), A = R^T grad; S gets R [h]x.
  Mat a{};
  for (int i = 0; i < 3; ++i)
    a[i] = transposed_times(by_rotation, Vec{fit.polar.rotation[0][i], fit.polar.rotation[1][i],
                                             fit.polar.rotation[2][i]});
  const Vec vee{a[2][1] - a[1][2], a[0][2] - a[2][0], a[1][0] - a[0][1]};
  Vec h{};
  const double floor = PoseTolerance<T>::damping * fit.polar.values[0];
  for (int i = 0; i < 3; ++i) {
    const double sum = fit.polar.values[(i + 1) % 3] + fit.polar.values[(i + 2) % 3];
    const double norm = sum * sum + floor * floor;
    if (norm > 0) h = h + (sum / norm * dot(fit.polar.axes[i], vee)) * fit.polar.axes[i];
  }
  for (int i = 0; i < 3; ++i) {
    grad.covariance[i] = grad.covariance[i] + cross(fit.polar.rotation[i], h);
  }
  return grad;
}

// Gradients of one point; residual_factor = grad_residual / residual, or 0 where the residual is.
template <typename T>
PGNFACE_HD void point_gradients(const PointPairs<T>& points, std::int64_t k, const Moments& m,
                                const PoseFit& fit, const MomentGradients& grad, double residual,
                                double residual_factor, T* grad_source, T* grad_target,
                                T* grad_weights) {
  const double w = points.weight(k);
  const Vec source = points.point(points.source, k), target = points.point(points.target, k);
  const Vec x = source - m.source_mean, y = target - m.target_mean;
  const Vec e = target - fit.translation - fit.scale * (fit.polar.rotation * source);
  const Vec from_target = transposed_times(grad.covariance, y);
  const double share = m.weight == 0 ? 0 : w / m.weight;
  if (share != 0) {
    const Vec by_source = from_target + (2 * grad.source_variance) * x + grad.source_mean -
                          (residual_factor * fit.scale) * transposed_times(fit.polar.rotation, e);
    const Vec by_target = grad.covariance * x + grad.target_mean + residual_factor * e;
    for (int i = 0; i < 3; ++i) {
      grad_source[i] = T(share * by_source[i]);
      grad_target[i] = T(share * by_target[i]);
    }
  } else {
    for (int i = 0; i < 3; ++i) grad_source[i] = grad_target[i] = T(0);
  }
  if (!grad_weights) return;
  const double by_weight = dot(from_target, x) - inner(grad.covariance, m.covariance) +
                           grad.source_variance * (dot(x, x) - m.source_variance) +
                           dot(grad.source_mean, x) + dot(grad.target_mean, y) +
                           residual_factor / 2 * (dot(e, e) - residual * residual);
  const bool usable = m.weight != 0 && points.weights[k] >= 0 && by_weight - by_weight == 0;
  *grad_weights = T(usable ? by_weight / m.weight : 0);
}

// One item whose moments are not finite.
template <typename T>
PGNFACE_HD void fill_nan(T* values, std::int64_t count, std::int64_t begin, std::int64_t step) {
  for (std::int64_t i = begin; i < count; i += step) values[i] = T(NAN);
}

template <typename T>
PGNFACE_HD void write_pose(const PoseFit& fit, double residual, T* scale, T* rotation,
                           T* translation, T* out_residual) {
  *scale = T(fit.scale);
  *out_residual = T(residual);
  for (int i = 0; i < 3; ++i) {
    translation[i] = T(fit.translation[i]);
    for (int j = 0; j < 3; ++j) rotation[3 * i + j] = T(fit.polar.rotation[i][j]);
  }
}

// One item, shared by all who call with the same points; the one with begin 0 writes the results.
template <typename T, typename Sum>
PGNFACE_HD void solve_item(const PointPairs<T>& points, T* scale, T* rotation, T* translation,
                           T* residual, std::int64_t begin, std::int64_t step, Sum sum) {
  const Moments m = pose_moments(points, begin, step, sum);
  if (!is_finite(m)) {
    fill_nan(scale, 1, begin, step);
    fill_nan(rotation, 9, begin, step);
    fill_nan(translation, 3, begin, step);
    fill_nan(residual, 1, begin, step);
    return;
  }
  const PoseFit fit = fit_pose<T>(m);
  const double error = fit_residual(points, m, fit, begin, step, sum);
  if (begin == 0) write_pose(fit, error, scale, rotation, translation, residual);
}

// Likewise the gradients of one item, from those by its scale, rotation, translation, residual.
template <typename T, typename Sum>
PGNFACE_HD void solve_item_backward(const PointPairs<T>& points, T grad_scale,
                                    const T* grad_rotation, const T* grad_translation,
                                    T grad_residual, T* grad_source, T* grad_target,
                                    T* grad_weights, std::int64_t begin, std::int64_t step,
                                    Sum sum) {
  const Moments m = pose_moments(points, begin, step, sum);
  if (!is_finite(m)) {
    fill_nan(grad_source, 3 * points.count, begin, step);
    fill_nan(grad_target, 3 * points.count, begin, step);
    if (grad_weights) fill_nan(grad_weights, points.count, begin, step);
    return;
  }
  const PoseFit fit = fit_pose<T>(m);
  const double residual = fit_residual(points, m, fit, begin, step, sum);
  Mat by_rotation{};
  Vec by_translation{};
  for (int i = 0; i < 3; ++i) {
    by_translation[i] = grad_translation[i];
    for (int j = 0; j < 3; ++j) by_rotation[i][j] = grad_rotation[3 * i + j];
  }
  const MomentGradients grad = moment_gradients<T>(m, fit, grad_scale, by_rotation, by_translation);
  const double factor = residual > 0 ? grad_residual / residual : 0;
  for (std::int64_t k = begin; k < points.count; k += step) {
    point_gradients(points, k, m, fit, grad, residual, factor, grad_source + 3 * k,
                    grad_target + 3 * k, grad_weights ? grad_weights + k : nullptr);
  }
}

template <typename T>
void solve_pose_forward_cpu(const T* source, const T* target, const T* weights, T* scale,
                            T* rotation, T* translation, T* residual, std::int64_t batch,
                            std::int64_t count, const Context& context);

// weights and grad_weights may be null; the other gradients are written whole.
template <typename T>
void solve_pose_backward_cpu(const T* grad_scale, const T* grad_rotation, const T* grad_translation,
                             const T* grad_residual, const T* source, const T* target,
                             const T* weights, T* grad_source, T* grad_target, T* grad_weights,
                             std::int64_t batch, std::int64_t count, const Context& context);

template <typename T>
void solve_pose_forward_cuda(const T* source, const T* target, const T* weights, T* scale,
                             T* rotation, T* translation, T* residual, std::int64_t batch,
                             std::int64_t count, const Context& context);

template <typename T>
void solve_pose_backward_cuda(const T* grad_scale, const T* grad_rotation,
                              const T* grad_translation, const T* grad_residual, const T* source,
                              const T* target, const T* weights, T* grad_source, T* grad_target,
                              T* grad_weights, std::int64_t batch, std::int64_t count,
                              const Context& context);

}  // namespace pgnface
