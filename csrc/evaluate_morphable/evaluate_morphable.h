// Vertices of a linear shape model, with an optional similarity applied in the same pass.
//
//   mean         (vertices, 3)
//   basis        (count, vertices, 3), contiguous: one coefficient's displacements after the other
//   coefficients (batch, count)
//   scale (batch), rotation (batch, 3, 3), translation (batch, 3): all null, or all given
//   output       (batch, vertices, 3)
//
//   shape  = mean + sum_p coefficients[p] * basis[p]
//   output = scale * rotation @ shape + translation
//
// The basis may be of 16-bit integers, whose steps the caller has multiplied the coefficients with;
// it then has no gradient.
//
// Both directions read a slice of the basis from memory once, and it then serves the whole batch.
// Sums over vertices are taken per chunk of `chunk` vertices, whose bounds depend on the problem
// alone, and the chunks are added in order: the result does not depend on the number of threads,
// nor, on CUDA, on the schedule.
#pragma once

#include <cstdint>

#include "common/context.h"
#include "common/macros.h"

namespace pgnface {

// One vertex: position = scale * rotation @ shape + translation.
template <typename T>
PGNFACE_HD T pose_coordinate(const T* shape, T scale, const T* rotation_row, T translation) {
  return scale * (rotation_row[0] * shape[0] + rotation_row[1] * shape[1] +
                  rotation_row[2] * shape[2]) +
         translation;
}

// One coordinate of scale * rotation^T @ grad, the gradient by the unposed vertex.
template <typename T>
PGNFACE_HD T unpose_coordinate(const T* grad, T scale, const T* rotation, int axis) {
  return scale *
         (rotation[axis] * grad[0] + rotation[3 + axis] * grad[1] + rotation[6 + axis] * grad[2]);
}

// Sums over vertices from which the pose's gradients follow: grad (outer) shape and grad.
constexpr int kPoseSums = 12;

// Gradients by one item's pose: with G = sum_v grad_v shape_v^T, d(scale) = <rotation, G>,
// d(rotation) = scale * G and d(translation) = sum_v grad_v.
template <typename T>
PGNFACE_HD void pose_gradients(const T* sums, T scale, const T* rotation, T* grad_scale,
                               T* grad_rotation, T* grad_translation) {
  T total = 0;
  for (int i = 0; i < 9; ++i) {
    total += rotation[i] * sums[i];
    grad_rotation[i] = scale * sums[i];
  }
  *grad_scale = total;
  for (int i = 0; i < 3; ++i) grad_translation[i] = sums[9 + i];
}

// The inverse of matrix = scale * rotation; false, and none, where it is too near a singular matrix
// for the shape to be recovered from the posed vertices.
template <typename T>
PGNFACE_HD bool invert_pose(T scale, const T* rotation, T* inverse) {
  T m[9], norm = 0;
  for (int i = 0; i < 9; ++i) {
    m[i] = scale * rotation[i];
    norm += m[i] * m[i];
  }
  for (int i = 0; i < 3; ++i) {  // the transposed cofactors
    for (int k = 0; k < 3; ++k) {
      const int r = (k + 1) % 3, q = (k + 2) % 3, c = (i + 1) % 3, d = (i + 2) % 3;
      inverse[3 * i + k] = m[3 * r + c] * m[3 * q + d] - m[3 * r + d] * m[3 * q + c];
    }
  }
  const T det = m[0] * inverse[0] + m[1] * inverse[3] + m[2] * inverse[6];
  // For a rotation det^2 = (norm / 3)^3.
  const T third = norm / 3, size = third * third * third;
  if (!(det * det > T(1e-2) * size && size > T(1e-30))) return false;
  for (int i = 0; i < 9; ++i) inverse[i] /= det;
  return true;
}

// Posed vertices of an item, spread evenly, of which one must keep the shape's digits.
constexpr int kSamples = 32;

// Whether posed - translation has the digits of the shape: where the translation is larger by far,
// they are lost to the rounding of their sum.
template <typename T>
PGNFACE_HD bool keeps_digits(const T* posed, const T* translation) {
  T shape = 0, moved = 0;
  for (int k = 0; k < 3; ++k) {
    const T difference = posed[k] - translation[k];
    shape += difference * difference;
    moved += translation[k] * translation[k];
  }
  return moved <= T(1e4) * shape;  // at most two digits
}

// Sums of grad (outer) shape from those of grad (outer) (posed - translation), in place.
template <typename T>
PGNFACE_HD void sums_by_shape(const T* inverse, T* sums) {
  for (int i = 0; i < 3; ++i) {
    const T a = sums[3 * i], b = sums[3 * i + 1], c = sums[3 * i + 2];
    for (int k = 0; k < 3; ++k) {
      sums[3 * i + k] = a * inverse[3 * k] + b * inverse[3 * k + 1] + c * inverse[3 * k + 2];
    }
  }
}

template <typename T, typename B>
void evaluate_morphable_forward_cpu(const T* mean, const B* basis, const T* coefficients,
                                    const T* scale, const T* rotation, const T* translation,
                                    T* output, std::int64_t batch, std::int64_t vertices,
                                    std::int64_t count, const Context& context);

// `output` is what the forward pass gave, null where scale is: the pose's gradients need the shape,
// which is recovered from it rather than evaluated again. An item whose pose has no inverse, or
// whose translation is a hundred times the size of its posed shape, has its shape evaluated.
// grad_mean, grad_basis (both must come zeroed) and grad_coefficients may be null; the pose's
// gradients are null exactly when scale and rotation are. `partial` is scratch of (chunks, batch,
// count + 12) elements, with chunks = ceil(vertices / chunk).
template <typename T, typename B>
void evaluate_morphable_backward_cpu(const T* grad, const T* mean, const B* basis,
                                     const T* coefficients, const T* scale, const T* rotation,
                                     const T* translation, const T* output, T* grad_mean,
                                     T* grad_basis, T* grad_coefficients, T* grad_scale,
                                     T* grad_rotation, T* grad_translation, T* partial,
                                     std::int64_t batch, std::int64_t vertices, std::int64_t count,
                                     std::int64_t chunk, const Context& context);

template <typename T, typename B>
void evaluate_morphable_forward_cuda(const T* mean, const B* basis, const T* coefficients,
                                     const T* scale, const T* rotation, const T* translation,
                                     T* output, std::int64_t batch, std::int64_t vertices,
                                     std::int64_t count, const Context& context);

template <typename T, typename B>
void evaluate_morphable_backward_cuda(const T* grad, const T* mean, const B* basis,
                                      const T* coefficients, const T* scale, const T* rotation,
                                      const T* translation, const T* output, T* grad_mean,
                                      T* grad_basis, T* grad_coefficients, T* grad_scale,
                                      T* grad_rotation, T* grad_translation, T* partial,
                                      std::int64_t batch, std::int64_t vertices, std::int64_t count,
                                      std::int64_t chunk, const Context& context);

}  // namespace pgnface
