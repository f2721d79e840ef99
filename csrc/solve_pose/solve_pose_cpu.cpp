#include "common/parallel.h"
#include "solve_pose/solve_pose.h"

namespace pgnface {
namespace {

constexpr std::int64_t kItems = 16;  // a chunk

// One thread has all points of its item.
double all(double value) { return value; }

}  // namespace

template <typename T>
void solve_pose_forward_cpu(const T* source, const T* target, const T* weights, T* scale,
                            T* rotation, T* translation, T* residual, std::int64_t batch,
                            std::int64_t count, const Context& context) {
  parallel_for(batch, kItems, context.threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const PointPairs<T> points{source + 3 * n * count, target + 3 * n * count,
                                 weights ? weights + n * count : nullptr, count};
      solve_item(points, scale + n, rotation + 9 * n, translation + 3 * n, residual + n, 0, 1, all);
    }
  });
}

template <typename T>
void solve_pose_backward_cpu(const T* grad_scale, const T* grad_rotation, const T* grad_translation,
                             const T* grad_residual, const T* source, const T* target,
                             const T* weights, T* grad_source, T* grad_target, T* grad_weights,
                             std::int64_t batch, std::int64_t count, const Context& context) {
  parallel_for(batch, kItems, context.threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const std::int64_t first = n * count;
      const PointPairs<T> points{source + 3 * first, target + 3 * first,
                                 weights ? weights + first : nullptr, count};
      solve_item_backward(points, grad_scale[n], grad_rotation + 9 * n, grad_translation + 3 * n,
                          grad_residual[n], grad_source + 3 * first, grad_target + 3 * first,
                          grad_weights ? grad_weights + first : nullptr, 0, 1, all);
    }
  });
}

#define PGNFACE_INSTANTIATE(T)                                                               \
  template void solve_pose_forward_cpu<T>(const T*, const T*, const T*, T*, T*, T*, T*,      \
                                          std::int64_t, std::int64_t, const Context&);       \
  template void solve_pose_backward_cpu<T>(const T*, const T*, const T*, const T*, const T*, \
                                           const T*, const T*, T*, T*, T*, std::int64_t,     \
                                           std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
