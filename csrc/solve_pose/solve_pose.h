// Weighted similarity between two sets of corresponding points (Umeyama, PAMI 1991).
//
//   source, target (batch, count, 3); weights (batch, count) or null for ones
//   minimises sum_k w_k |target_k - (scale * rotation @ source_k + translation)|^2 over
//   scale (batch) >= 0, rotation (batch, 3, 3) with determinant +1, translation (batch, 3)
//   residual (batch): the weighted root mean square of those distances
//   state (batch, kPoseState), or null: what the gradient needs
//
// Everything inside an item is computed in double (pose_fit.h); the gradient is analytic.
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

#include <cstdint>

#include "common/context.h"
#include "solve_pose/pose_fit.h"

namespace pgnface {

template <typename T>
void solve_pose_forward_cpu(const T* source, const T* target, const T* weights, T* scale,
                            T* rotation, T* translation, T* residual, double* state,
                            std::int64_t batch, std::int64_t count, const Context& context);

// A gradient that comes in may be null for zeros. grad_weights is null exactly where weights is;
// what is not null is written whole.
template <typename T>
void solve_pose_backward_cpu(const T* grad_scale, const T* grad_rotation, const T* grad_translation,
                             const T* grad_residual, const T* source, const T* target,
                             const T* weights, const double* state, T* grad_source, T* grad_target,
                             T* grad_weights, std::int64_t batch, std::int64_t count,
                             const Context& context);

template <typename T>
void solve_pose_forward_cuda(const T* source, const T* target, const T* weights, T* scale,
                             T* rotation, T* translation, T* residual, double* state,
                             std::int64_t batch, std::int64_t count, const Context& context);

template <typename T>
void solve_pose_backward_cuda(const T* grad_scale, const T* grad_rotation,
                              const T* grad_translation, const T* grad_residual, const T* source,
                              const T* target, const T* weights, const double* state,
                              T* grad_source, T* grad_target, T* grad_weights, std::int64_t batch,
                              std::int64_t count, const Context& context);

// These arguments together, for the kernels.
template <typename T>
struct PosePointers {
  T *scale, *rotation, *translation, *residual;
  double* state;
};

template <typename T>
struct PoseGradients {
  const T *scale, *rotation, *translation, *residual;
  const double* state;
};

}  // namespace pgnface
