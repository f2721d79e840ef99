#include "common/cuda.h"
#include "solve_pose/solve_pose.h"

// Eight lanes share an item: they read its points together, add their sums by shuffles in a fixed
// order, and each solves the 3x3 problem, which is cheaper than waiting for one that does.
namespace pgnface {
namespace {

constexpr int kLanes = 8;
constexpr int kThreads = 128;

struct LaneSum {
  unsigned mask;  // the lanes of this item; other items of the warp may have left

  __device__ double operator()(double value) const {
    for (int offset = kLanes / 2; offset > 0; offset /= 2) {
      value += __shfl_xor_sync(mask, value, offset, kLanes);
    }
    return value;
  }
};

__device__ LaneSum lanes_of_item() {
  return {((1u << kLanes) - 1) << (threadIdx.x % 32 / kLanes * kLanes)};
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(const T* __restrict__ source, const T* __restrict__ target,
                   const T* __restrict__ weights, T* __restrict__ scale, T* __restrict__ rotation,
                   T* __restrict__ translation, T* __restrict__ residual, std::int64_t batch,
                   std::int64_t count) {
  const std::int64_t n = (std::int64_t(blockIdx.x) * kThreads + threadIdx.x) / kLanes;
  if (n >= batch) return;
  const PointPairs<T> points{source + 3 * n * count, target + 3 * n * count,
                             weights ? weights + n * count : nullptr, count};
  solve_item(points, scale + n, rotation + 9 * n, translation + 3 * n, residual + n,
             threadIdx.x % kLanes, kLanes, lanes_of_item());
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(const T* __restrict__ grad_scale, const T* __restrict__ grad_rotation,
                    const T* __restrict__ grad_translation, const T* __restrict__ grad_residual,
                    const T* __restrict__ source, const T* __restrict__ target,
                    const T* __restrict__ weights, T* __restrict__ grad_source,
                    T* __restrict__ grad_target, T* __restrict__ grad_weights, std::int64_t batch,
                    std::int64_t count) {
  const std::int64_t n = (std::int64_t(blockIdx.x) * kThreads + threadIdx.x) / kLanes;
  if (n >= batch) return;
  const std::int64_t first = n * count;
  const PointPairs<T> points{source + 3 * first, target + 3 * first,
                             weights ? weights + first : nullptr, count};
  solve_item_backward(points, grad_scale[n], grad_rotation + 9 * n, grad_translation + 3 * n,
                      grad_residual[n], grad_source + 3 * first, grad_target + 3 * first,
                      grad_weights ? grad_weights + first : nullptr, threadIdx.x % kLanes, kLanes,
                      lanes_of_item());
}

unsigned blocks_of(std::int64_t batch) {
  return static_cast<unsigned>((batch * kLanes + kThreads - 1) / kThreads);
}

}  // namespace

template <typename T>
void solve_pose_forward_cuda(const T* source, const T* target, const T* weights, T* scale,
                             T* rotation, T* translation, T* residual, std::int64_t batch,
                             std::int64_t count, const Context& context) {
  DeviceGuard guard(context);
  if (batch == 0) return;
  forward_kernel<<<blocks_of(batch), kThreads, 0, stream_of(context)>>>(
      source, target, weights, scale, rotation, translation, residual, batch, count);
  check_cuda(cudaGetLastError(), "solve_pose");
}

template <typename T>
void solve_pose_backward_cuda(const T* grad_scale, const T* grad_rotation,
                              const T* grad_translation, const T* grad_residual, const T* source,
                              const T* target, const T* weights, T* grad_source, T* grad_target,
                              T* grad_weights, std::int64_t batch, std::int64_t count,
                              const Context& context) {
  DeviceGuard guard(context);
  if (batch == 0) return;
  backward_kernel<<<blocks_of(batch), kThreads, 0, stream_of(context)>>>(
      grad_scale, grad_rotation, grad_translation, grad_residual, source, target, weights,
      grad_source, grad_target, grad_weights, batch, count);
  check_cuda(cudaGetLastError(), "solve_pose backward");
}

template void solve_pose_forward_cuda<float>(const float*, const float*, const float*, float*,
                                             float*, float*, float*, std::int64_t, std::int64_t,
                                             const Context&);
template void solve_pose_backward_cuda<float>(const float*, const float*, const float*,
                                              const float*, const float*, const float*,
                                              const float*, float*, float*, float*, std::int64_t,
                                              std::int64_t, const Context&);

}  // namespace pgnface
