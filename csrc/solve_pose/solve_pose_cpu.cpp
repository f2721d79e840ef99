#include <algorithm>

#include "common/lanes.h"
#include "common/parallel.h"
#include "common/prefetch.h"
#include "common/simd.h"
#include "solve_pose/solve_pose.h"

// Eight items at a time, one in each lane of a vector: their points are transposed, tile by tile,
// into memory of this thread, and all the maths of an item is that of a lane.
namespace pgnface {
namespace {

constexpr std::int64_t kItems = 4 * kLanes;  // a chunk
constexpr std::int64_t kTile = 80;           // points; a tile stays in the first-level cache

using Real = Lanes<double>;
using Vector = Vector3<Real>;
using Matrix = Matrix3<Real>;

// Lanes of two vectors; the second's are 8 and on.
template <int... from, typename V>
PGNFACE_HD V shuffle(const V& a, const V& b) {
#if __has_builtin(__builtin_shufflevector)
  return __builtin_shufflevector(a, b, from...);
#else
  return V{(from < kLanes ? a : b)[from % kLanes]...};
#endif
}

// Row l of `a` becomes lane l: three rounds of exchanging halves.
template <typename V>
void transpose(V (&a)[kLanes]) {
  V b[kLanes];
  for (int i = 0; i < 8; i += 2) {
    b[i] = shuffle<0, 8, 1, 9, 4, 12, 5, 13>(a[i], a[i + 1]);
    b[i + 1] = shuffle<2, 10, 3, 11, 6, 14, 7, 15>(a[i], a[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int j = 0; j < 2; ++j) {
      a[i + 2 * j] = shuffle<0, 1, 8, 9, 4, 5, 12, 13>(b[i + j], b[i + j + 2]);
      a[i + 2 * j + 1] = shuffle<2, 3, 10, 11, 6, 7, 14, 15>(b[i + j], b[i + j + 2]);
    }
  }
  for (int i = 0; i < 4; ++i) {
    b[i] = shuffle<0, 1, 2, 3, 8, 9, 10, 11>(a[i], a[i + 4]);
    b[i + 4] = shuffle<4, 5, 6, 7, 12, 13, 14, 15>(a[i], a[i + 4]);
  }
  for (int i = 0; i < 8; ++i) a[i] = b[i];
}

// The items of a block: lane l has item first + l, and lanes beyond the last repeat it.
struct Block {
  std::int64_t first, valid;

  // Values begin to begin + size of each item's row of `length`, one vector for each.
  template <typename T>
  void load(const T* rows, std::int64_t length, std::int64_t begin, std::int64_t size,
            Real* out) const {
    const T* row[kLanes];
    for (int l = 0; l < kLanes; ++l) {
      row[l] = rows + (first + std::min<std::int64_t>(l, valid - 1)) * length + begin;
    }
    Lanes<T> lanes[3 * kTile];
    std::int64_t k = 0;
    for (; k + kLanes <= size; k += kLanes) {
      Lanes<T> tile[kLanes];
      for (int l = 0; l < kLanes; ++l) {
        __builtin_memcpy(&tile[l], row[l] + k, sizeof(tile[l]));
        prefetch(row[l] + k + kLanes * length);  // the same of the next block
      }
      transpose(tile);
      for (int i = 0; i < kLanes; ++i) lanes[k + i] = tile[i];
    }
    for (; k < size; ++k) {
      for (int l = 0; l < kLanes; ++l) lanes[k][l] = row[l][k];
    }
    // From memory a vector of any width is converted by one instruction.
    const T* narrow = reinterpret_cast<const T*>(lanes);
    double* wide = reinterpret_cast<double*>(out);
    for (std::int64_t i = 0; i < kLanes * size; ++i) wide[i] = narrow[i];
  }

  // The other way round.
  template <typename T>
  void store(const Real* in, T* rows, std::int64_t length, std::int64_t begin,
             std::int64_t size) const {
    T* row[kLanes];
    for (int l = 0; l < kLanes; ++l) row[l] = rows + (first + l) * length + begin;
    std::int64_t k = 0;
    for (; k + kLanes <= size; k += kLanes) {
      Lanes<T> tile[kLanes];
      for (int i = 0; i < kLanes; ++i) tile[i] = __builtin_convertvector(in[k + i], Lanes<T>);
      transpose(tile);
      for (int l = 0; l < valid; ++l) __builtin_memcpy(row[l] + k, &tile[l], sizeof(tile[l]));
    }
    for (; k < size; ++k) {
      for (int l = 0; l < valid; ++l) row[l][k] = T(in[k][l]);
    }
  }
};

// A tile of the points of a block.
template <bool weighted>
struct Tile {
  Vector source[kTile], target[kTile];
  Real weight[weighted ? kTile : 1];
};

template <typename T>
struct Points {
  const T *source, *target, *weights;
  std::int64_t count;

  template <bool weighted>
  void load(const Block& block, std::int64_t begin, std::int64_t size, Tile<weighted>& tile) const {
    block.load(source, 3 * count, 3 * begin, 3 * size, &tile.source[0][0]);
    block.load(target, 3 * count, 3 * begin, 3 * size, &tile.target[0][0]);
    if (weighted) block.load(weights, count, begin, size, tile.weight);
  }

  // Calls body(weight, source, target) for every point. Points that fit in one tile are still there
  // the second time.
  template <bool weighted, typename Body>
  void for_each(const Block& block, Tile<weighted>& tile, bool again, const Body& body) const {
    for (std::int64_t begin = 0; begin < count; begin += kTile) {
      const std::int64_t size = std::min(kTile, count - begin);
      if (!again || count > kTile) {
        load(block, begin, size, tile);
        for (std::int64_t k = 0; weighted && k < size; ++k) {
          const Real w = tile.weight[k] = usable_weight(tile.weight[k]);
          tile.source[k] = usable_point(w, tile.source[k]);
          tile.target[k] = usable_point(w, tile.target[k]);
        }
      }
      for (std::int64_t k = 0; k < size; ++k) {
        body(weighted ? tile.weight[k] : Real{} + 1, tile.source[k], tile.target[k]);
      }
    }
  }
};

// Apart, so that there is one of it rather than one for each kind of points.
PGNFACE_CLONES __attribute__((noinline)) PGNFACE_FLATTEN void fit_block(
    const Moments<Real>& m, const PoseTolerance& tolerance, PoseState<Real>& fit) {
  fit = fit_pose(m, tolerance);
}

template <typename T, bool weighted>
PGNFACE_CLONES PGNFACE_FLATTEN void forward_block(const Points<T>& points,
                                                  const PosePointers<T>& out, const Block& block) {
  Tile<weighted> tile;
  Moments<Real> m{};
  points.for_each(block, tile, false, [&](const Real& w, const Vector& s, const Vector& t) {
    add_to_means(m, w, s, t);
  });
  finish_means(m);
  points.for_each(block, tile, true, [&](const Real& w, const Vector& s, const Vector& t) {
    add_to_spread(m, w, s - m.source_mean, t - m.target_mean);
  });
  finish_spread(m);
  constexpr PoseTolerance tolerance = pose_tolerance<T>();
  PoseState<Real> fit;
  fit_block(m, tolerance, fit);

  const auto exact = fit.residual <= tolerance.exact * m.target_variance;
  if (any(exact)) {
    Real total{};
    points.for_each(block, tile, true, [&](const Real& w, const Vector& s, const Vector& t) {
      const Vector e = point_error(fit, s - m.source_mean, t - m.target_mean);
      total += w * dot(e, e);
    });
    fit.residual = select(exact, total * m.inverse_weight, fit.residual);
  }
  fit.residual = square_root(fit.residual);

  const Vector translation = translation_of(fit);
  block.store(&fit.scale, out.scale, 1, 0, 1);
  block.store(&fit.rotation[0][0], out.rotation, 9, 0, 9);
  block.store(&translation[0], out.translation, 3, 0, 3);
  block.store(&fit.residual, out.residual, 1, 0, 1);
  if (out.state) block.store(&fit.inverse_weight, out.state, kPoseState, 0, kPoseState);
}

template <typename T>
struct PointPointers {
  T *source, *target, *weights;
};

template <typename T, bool weighted>
PGNFACE_CLONES PGNFACE_FLATTEN void backward_block(const PoseGradients<T>& grads,
                                                   const Points<T>& points,
                                                   const PointPointers<T>& out,
                                                   const Block& block) {
  Real grad_scale{}, grad_residual{};
  Matrix grad_rotation{};
  Vector grad_translation{};
  if (grads.scale) block.load(grads.scale, 1, 0, 1, &grad_scale);
  if (grads.rotation) block.load(grads.rotation, 9, 0, 9, &grad_rotation[0][0]);
  if (grads.translation) block.load(grads.translation, 3, 0, 3, &grad_translation[0]);
  if (grads.residual) block.load(grads.residual, 1, 0, 1, &grad_residual);
  PoseState<Real> fit;
  block.load(grads.state, kPoseState, 0, kPoseState, &fit.inverse_weight);
  const PointGradients<Real> grad =
      point_gradients(fit, grad_scale, grad_rotation, grad_translation, grad_residual);

  Tile<weighted> tile;
  const std::int64_t count = points.count;
  for (std::int64_t begin = 0; begin < count; begin += kTile) {
    const std::int64_t size = std::min(kTile, count - begin);
    points.load(block, begin, size, tile);
    for (std::int64_t k = 0; k < size; ++k) {
      const Vector x = tile.source[k] - fit.source_mean, y = tile.target[k] - fit.target_mean;
      tile.source[k] = fit.inverse_weight * by_source(grad, x, y);
      tile.target[k] = fit.inverse_weight * by_target(grad, x, y);
      if constexpr (weighted) {
        const Real given = tile.weight[k], w = usable_weight(given);
        tile.weight[k] = by_weight(fit, grad, given, x, y);
        // Not a product with zero: the point may be anything, and the item may be NaN.
        const auto ignored = w * fit.inverse_weight == 0;
        tile.source[k] = select(ignored, Vector{}, w * tile.source[k]);
        tile.target[k] = select(ignored, Vector{}, w * tile.target[k]);
      }
    }
    block.store(&tile.source[0][0], out.source, 3 * count, 3 * begin, 3 * size);
    block.store(&tile.target[0][0], out.target, 3 * count, 3 * begin, 3 * size);
    if (weighted) block.store(tile.weight, out.weights, count, begin, size);
  }
}

template <typename Body>
void for_each_block(std::int64_t batch, const Context& context, const Body& body) {
  parallel_for(batch, kItems, context.threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += kLanes) {
      body(Block{first, std::min<std::int64_t>(kLanes, end - first)});
    }
  });
}

}  // namespace

template <typename T>
void solve_pose_forward_cpu(const T* source, const T* target, const T* weights, T* scale,
                            T* rotation, T* translation, T* residual, double* state,
                            std::int64_t batch, std::int64_t count, const Context& context) {
  const Points<T> points{source, target, weights, count};
  const PosePointers<T> out{scale, rotation, translation, residual, state};
  const auto solve = weights ? forward_block<T, true> : forward_block<T, false>;
  for_each_block(batch, context, [&](const Block& block) { solve(points, out, block); });
}

template <typename T>
void solve_pose_backward_cpu(const T* grad_scale, const T* grad_rotation, const T* grad_translation,
                             const T* grad_residual, const T* source, const T* target,
                             const T* weights, const double* state, T* grad_source, T* grad_target,
                             T* grad_weights, std::int64_t batch, std::int64_t count,
                             const Context& context) {
  const PoseGradients<T> grads{grad_scale, grad_rotation, grad_translation, grad_residual, state};
  const Points<T> points{source, target, weights, count};
  const PointPointers<T> out{grad_source, grad_target, grad_weights};
  const auto solve = weights ? backward_block<T, true> : backward_block<T, false>;
  for_each_block(batch, context, [&](const Block& block) { solve(grads, points, out, block); });
}

#define PGNFACE_INSTANTIATE(T)                                                                   \
  template void solve_pose_forward_cpu<T>(const T*, const T*, const T*, T*, T*, T*, T*, double*, \
                                          std::int64_t, std::int64_t, const Context&);           \
  template void solve_pose_backward_cpu<T>(const T*, const T*, const T*, const T*, const T*,     \
                                           const T*, const T*, const double*, T*, T*, T*,        \
                                           std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
