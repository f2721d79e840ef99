#include "common/cuda.h"
#include "solve_pose/solve_pose.h"

// Several lanes share an item: they read its points together and add their sums by shuffles in a
// fixed order. Then one thread an item solves the 3x3 problems of the block's items, side by side.
//
// Items of few points are copied to shared memory first, whole blocks at a time, so that global
// memory is read (and, for gradients, written) once and in vectors. Items of many points are read
// where they are, a warp each.
namespace pgnface {
namespace {

constexpr int kThreads = 128;
constexpr int kLanesOfFew = 8, kLanesOfMany = 32;
constexpr std::int64_t kStagedBytes = 36 << 10;  // a block's points; six blocks fit on a processor

// All lanes of an item get the sum of their values.
template <int lanes>
__device__ void add_over_lanes(double* values, int count) {
  constexpr unsigned all = lanes == 32 ? ~0u : (1u << lanes % 32) - 1;
  const unsigned mask = all << (threadIdx.x % 32 / lanes * lanes);  // other items may have left
#pragma unroll
  for (int offset = lanes / 2; offset > 0; offset /= 2) {
    for (int i = 0; i < count; ++i) values[i] += __shfl_xor_sync(mask, values[i], offset, lanes);
  }
}

template <typename T>
__device__ void copy_values(const T* __restrict__ from, T* __restrict__ to, int count) {
  constexpr int width = sizeof(int4) / sizeof(T);
  int done = 0;
  if ((reinterpret_cast<std::uintptr_t>(from) | reinterpret_cast<std::uintptr_t>(to)) %
          sizeof(int4) ==
      0) {
    done = count / width * width;
#pragma unroll 4
    for (int i = threadIdx.x; i < count / width; i += kThreads) {
      reinterpret_cast<int4*>(to)[i] = reinterpret_cast<const int4*>(from)[i];
    }
  }
  for (int i = done + threadIdx.x; i < count; i += kThreads) to[i] = from[i];
}

// The points of all items, or of those of a block in shared memory.
template <typename T>
struct Points {
  T *source, *target, *weights;  // weights may be null
  std::int64_t count;

  __device__ static Vector3<double> point(const T* points, std::int64_t k) {
    return {double(points[3 * k]), double(points[3 * k + 1]), double(points[3 * k + 2])};
  }
  __device__ static void set_point(T* points, std::int64_t k, const Vector3<double>& value) {
    for (int i = 0; i < 3; ++i) points[3 * k + i] = T(value[i]);
  }

  __device__ Points from_item(std::int64_t n) const {
    return {source + 3 * n * count, target + 3 * n * count, weights ? weights + n * count : nullptr,
            count};
  }
  __device__ Points staged(void* memory, int items) const {
    T* start = static_cast<T*>(memory);
    const int values = items * static_cast<int>(count);
    return {start, start + 3 * values, weights ? start + 6 * values : nullptr, count};
  }
  __device__ void copy_to(const Points& to, int items) const {
    const int values = items * static_cast<int>(count);
    copy_values(source, to.source, 3 * values);
    copy_values(target, to.target, 3 * values);
    if (weights) copy_values(weights, to.weights, values);
  }

  // Calls body(weight, source, target) for the points of this lane.
  template <int lanes, typename Body>
  __device__ void for_each(const Body& body) const {
    for (std::int64_t k = threadIdx.x % lanes; k < count; k += lanes) {
      const double w = weights ? usable_weight(double(weights[k])) : 1.0;
      body(w, usable_point(w, point(source, k)), usable_point(w, point(target, k)));
    }
  }
};

template <typename T, int lanes>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(Points<T> all, PosePointers<T> out, std::int64_t batch) {
  constexpr int most = kThreads / lanes;
  constexpr PoseTolerance tolerance = pose_tolerance<T>();
  extern __shared__ int4 memory[];
  __shared__ Moments<double> moments[most];
  __shared__ bool cancelled[most];  // the residual lost its digits
  __shared__ PoseState<double> fits[most];
  const std::int64_t first = std::int64_t(blockIdx.x) * most;
  const int items = static_cast<int>(batch - first < most ? batch - first : most);
  const int item = threadIdx.x / lanes;

  Points<T> points = all.from_item(first);
  if (lanes == kLanesOfFew) {
    const Points<T> staged = points.staged(memory, items);
    points.copy_to(staged, items);
    points = staged;
    __syncthreads();
  }
  points = points.from_item(item);

  if (item < items) {
    Moments<double> m{};
    points.template for_each<lanes>([&](double w, const Vector3<double>& s,
                                        const Vector3<double>& t) { add_to_means(m, w, s, t); });
    add_over_lanes<lanes>(&m.weight, 1);
    add_over_lanes<lanes>(&m.source_mean[0], 6);
    finish_means(m);
    points.template for_each<lanes>(
        [&](double w, const Vector3<double>& s, const Vector3<double>& t) {
          add_to_spread(m, w, s - m.source_mean, t - m.target_mean);
        });
    add_over_lanes<lanes>(&m.source_variance, 11);
    finish_spread(m);
    if (threadIdx.x % lanes == 0) moments[item] = m;
  }
  __syncthreads();
  if (threadIdx.x < items) {
    const Moments<double>& m = moments[threadIdx.x];
    const PoseState<double> fit = fit_pose(m, tolerance);
    fits[threadIdx.x] = fit;
    cancelled[threadIdx.x] = fit.residual <= tolerance.exact * m.target_variance;
  }
  __syncthreads();
  if (item < items) {
    const PoseState<double>& fit = fits[item];
    double total = 0;
    if (cancelled[item]) {
      points.template for_each<lanes>(
          [&](double w, const Vector3<double>& s, const Vector3<double>& t) {
            const Vector3<double> e = point_error(fit, s - fit.source_mean, t - fit.target_mean);
            total += w * dot(e, e);
          });
      add_over_lanes<lanes>(&total, 1);
      total *= fit.inverse_weight;
    }
    if (threadIdx.x % lanes == 0) {  // the only one to read or write the residual
      const std::int64_t n = first + item;
      const double residual = square_root(cancelled[item] ? total : fit.residual);
      fits[item].residual = residual;
      out.residual[n] = T(residual);
      out.scale[n] = T(fit.scale);
      Points<T>::set_point(out.translation, n, translation_of(fit));
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 9 * items; i += kThreads) {
    out.rotation[9 * first + i] = T(fits[i / 9].rotation[i % 9 / 3][i % 3]);
  }
  if (out.state) {
    const double* state = &fits[0].inverse_weight;
    for (int i = threadIdx.x; i < kPoseState * items; i += kThreads) {
      out.state[kPoseState * first + i] = state[i];
    }
  }
}

template <typename T, int lanes>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(PoseGradients<T> grads, Points<T> all, Points<T> out, std::int64_t batch) {
  constexpr int most = kThreads / lanes;
  extern __shared__ int4 memory[];
  __shared__ PointGradients<double> gradients[most];
  __shared__ PoseState<double> fits[most];
  const std::int64_t first = std::int64_t(blockIdx.x) * most;
  const int items = static_cast<int>(batch - first < most ? batch - first : most);
  const int item = threadIdx.x / lanes;

  double* state = &fits[0].inverse_weight;
  for (int i = threadIdx.x; i < kPoseState * items; i += kThreads) {
    state[i] = grads.state[kPoseState * first + i];
  }
  Points<T> points = all.from_item(first), results = out.from_item(first);
  if (lanes == kLanesOfFew) {
    const Points<T> staged = points.staged(memory, items);
    points.copy_to(staged, items);
    points = results = staged;
  }
  __syncthreads();
  if (threadIdx.x < items) {
    const std::int64_t n = first + threadIdx.x;
    Matrix3<double> rotation{};
    Vector3<double> translation{};
    for (int i = 0; grads.rotation && i < 9; ++i) {
      rotation[i / 3][i % 3] = double(grads.rotation[9 * n + i]);
    }
    if (grads.translation) translation = Points<T>::point(grads.translation, n);
    gradients[threadIdx.x] =
        point_gradients(fits[threadIdx.x], grads.scale ? double(grads.scale[n]) : 0.0, rotation,
                        translation, grads.residual ? double(grads.residual[n]) : 0.0);
  }
  __syncthreads();
  if (item < items) {
    const PoseState<double>& fit = fits[item];
    const PointGradients<double>& grad = gradients[item];
    points = points.from_item(item), results = results.from_item(item);
    for (std::int64_t k = threadIdx.x % lanes; k < points.count; k += lanes) {
      const Vector3<double> x = points.point(points.source, k) - fit.source_mean;
      const Vector3<double> y = points.point(points.target, k) - fit.target_mean;
      const double given = points.weights ? double(points.weights[k]) : 1.0;
      const double share = usable_weight(given) * fit.inverse_weight;
      const Vector3<double> zero{}, source = share * by_source(grad, x, y),
                                    target = share * by_target(grad, x, y);
      if (points.weights) results.weights[k] = T(by_weight(fit, grad, given, x, y));
      // Not a product with zero: the point may be anything, and the item may be NaN.
      results.set_point(results.source, k, select(share == 0, zero, source));
      results.set_point(results.target, k, select(share == 0, zero, target));
    }
  }
  if (lanes == kLanesOfFew) {
    __syncthreads();
    all.staged(memory, items).copy_to(out.from_item(first), items);
  }
}

// Launches kernel<few> with the points of its items in shared memory, or kernel<many>.
template <typename T, typename... Parameters, typename... Arguments>
void launch(void (*few)(Parameters...), void (*many)(Parameters...), const T* weights,
            std::int64_t batch, std::int64_t count, const Context& context, const char* name,
            Arguments... arguments) {
  DeviceGuard guard(context);
  if (batch == 0) return;
  constexpr std::int64_t items = kThreads / kLanesOfFew;
  const std::int64_t bytes = items * count * (weights ? 7 : 6) * sizeof(T);
  const bool staged = bytes <= kStagedBytes;
  const std::int64_t in_block = staged ? items : kThreads / kLanesOfMany;
  const auto blocks = static_cast<unsigned>((batch + in_block - 1) / in_block);
  const auto kernel = staged ? few : many;
  kernel<<<blocks, kThreads, staged ? bytes : 0, stream_of(context)>>>(arguments..., batch);
  check_cuda(cudaGetLastError(), name);
}

// The kernels only read what is given as const.
template <typename T>
Points<T> points_of(const T* source, const T* target, const T* weights, std::int64_t count) {
  return {const_cast<T*>(source), const_cast<T*>(target), const_cast<T*>(weights), count};
}

}  // namespace

template <typename T>
void solve_pose_forward_cuda(const T* source, const T* target, const T* weights, T* scale,
                             T* rotation, T* translation, T* residual, double* state,
                             std::int64_t batch, std::int64_t count, const Context& context) {
  launch(forward_kernel<T, kLanesOfFew>, forward_kernel<T, kLanesOfMany>, weights, batch, count,
         context, "solve_pose", points_of(source, target, weights, count),
         PosePointers<T>{scale, rotation, translation, residual, state});
}

template <typename T>
void solve_pose_backward_cuda(const T* grad_scale, const T* grad_rotation,
                              const T* grad_translation, const T* grad_residual, const T* source,
                              const T* target, const T* weights, const double* state,
                              T* grad_source, T* grad_target, T* grad_weights, std::int64_t batch,
                              std::int64_t count, const Context& context) {
  launch(backward_kernel<T, kLanesOfFew>, backward_kernel<T, kLanesOfMany>, weights, batch, count,
         context, "solve_pose backward",
         PoseGradients<T>{grad_scale, grad_rotation, grad_translation, grad_residual, state},
         points_of(source, target, weights, count),
         Points<T>{grad_source, grad_target, grad_weights, count});
}

template void solve_pose_forward_cuda<float>(const float*, const float*, const float*, float*,
                                             float*, float*, float*, double*, std::int64_t,
                                             std::int64_t, const Context&);
template void solve_pose_backward_cuda<float>(const float*, const float*, const float*,
                                              const float*, const float*, const float*,
                                              const float*, const double*, float*, float*, float*,
                                              std::int64_t, std::int64_t, const Context&);

}  // namespace pgnface
