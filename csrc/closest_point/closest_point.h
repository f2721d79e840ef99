// The points of a triangle mesh that are nearest to given points.
//
//   points       (batch, count, 3)
//   vertices     (batch, vertex_count, 3)
//   triangles    (triangle_count, 3) int32
//   order, corners, discs: the tree of the mesh, see triangle_tree.h
//   distances    (batch, count)
//   closest      (batch, count, 3)
//   triangle_ids (batch, count) int32
//   barycentrics (batch, count, 3): weights of the triangle's corners; exactly 0 for those that the
//                edge or the corner does not touch on which the closest point lies
//
// Of triangles at the same computed distance the one of the lowest number counts, and no triangle
// is passed over whose computed distance is the least: what is found depends on nothing but the
// point and the mesh. Triangles that share the edge or the vertex on which the closest point lies
// compute the same distance, bit for bit.
//
// A point that is not finite or exceeds kLargest, or a mesh without usable triangles: triangle -1,
// distance infinity, the rest 0, no gradients.
#pragma once

#include <cmath>
#include <cstdint>

#include "closest_point/triangle_tree.h"

namespace pgnface {

// The point of a triangle that is nearest to a point: its squared distance and its weights.
template <typename V>
struct Foot {
  V square, weights[3];
};

// The squared distance to the edge from a to b; along: the weight of b.
template <typename V>
PGNFACE_HD V nearest_on_edge(const Vector3<V>& pa, const Vector3<V>& pb, const Vector3<V>& edge,
                             V& along) {
  const V zero = {}, one = zero + 1;
  const V length = dot(edge, edge), projection = dot(pa, edge);
  const V ratio = projection / length;  // not a number where it is not used
  along = select(projection > zero, select(projection < length, ratio, one), zero);
  Vector3<V> gap = pa - along * edge;
  for (int i = 0; i < 3; ++i) gap[i] = select(along < one, gap[i], pb[i]);
  return dot(gap, gap);
}

// The nearest point is inside, or else on the nearest of the edges. Its weights are clamped before
// the distance is computed, so that rounding never makes it smaller than that of some point of the
// triangle, not even where the triangle has no area.
template <typename V>
PGNFACE_HD Foot<V> nearest_in_triangle(const Vector3<V>& p, const Vector3<V>& a,
                                       const Vector3<V>& b, const Vector3<V>& c) {
  const V zero = {}, one = zero + 1;
  const Vector3<V> pa = p - a, pb = p - b, pc = p - c, ab = b - a, bc = c - b, ac = c - a;
  V along_ab, along_bc, along_ac;
  const V square_ab = nearest_on_edge(pa, pb, ab, along_ab);
  const V square_bc = nearest_on_edge(pb, pc, bc, along_bc);
  const V square_ac = nearest_on_edge(pa, pc, ac, along_ac);
  Foot<V> foot = {square_ab, {one - along_ab, along_ab, zero}};
  const auto on_bc = square_bc < foot.square;
  foot = {select(on_bc, square_bc, foot.square),
          {select(on_bc, zero, foot.weights[0]), select(on_bc, one - along_bc, foot.weights[1]),
           select(on_bc, along_bc, zero)}};
  const auto on_ac = square_ac < foot.square;
  foot = {select(on_ac, square_ac, foot.square),
          {select(on_ac, one - along_ac, foot.weights[0]), select(on_ac, zero, foot.weights[1]),
           select(on_ac, along_ac, foot.weights[2])}};
  // Areas of the triangles that the projected point makes with the edges, times that of the whole.
  const Vector3<V> normal = cross(ab, ac);
  const V wa = dot(normal, cross(bc, pb)), wb = dot(normal, cross(pa, ac));
  const V wc = dot(normal, cross(ab, pa)), scale = one / (wa + wb + wc);
  const V lower = select(wa < wb, wa, wb), lowest = select(lower < wc, lower, wc);
  const Vector3<V> gap = pa - wb * scale * ab - wc * scale * ac;
  const V inside = select(lowest > zero, dot(gap, gap), foot.square);
  const auto is_inside = inside < foot.square;
  return {select(is_inside, inside, foot.square),
          {select(is_inside, wa * scale, foot.weights[0]),
           select(is_inside, wb * scale, foot.weights[1]),
           select(is_inside, wc * scale, foot.weights[2])}};
}

// The best triangle so far.
template <typename T>
struct Nearest {
  T square = kMaximum<T>;
  std::int32_t id = -1;

  // Not taken when it is not a number.
  PGNFACE_HD void offer(T other, std::int32_t other_id) {
    if (other < square || (other == square && (id < 0 || other_id < id))) {
      square = other;
      id = other_id;
    }
  }
};

// Squared distances from a point to the discs of a node's children; infinity for an empty one.
template <typename V, typename T>
PGNFACE_HD void measure_discs(const T* discs, const Vector3<V>& p, T* squares) {
  for (int lane = 0; lane < kWidth; lane += sizeof(V) / sizeof(T)) {
    store(Disc<V>::load(discs + lane).square_distance(p), squares + lane);
  }
}

template <typename V, typename T>
PGNFACE_HD void measure_leaf(const T* corners, const Vector3<V>& p, T* squares) {
  for (int lane = 0; lane < kWidth; lane += sizeof(V) / sizeof(T)) {
    const T* own = corners + lane;
    const Foot<V> foot =
        nearest_in_triangle(p, load_point<V>(own, kWidth), load_point<V>(own + 3 * kWidth, kWidth),
                            load_point<V>(own + 6 * kWidth, kWidth));
    store(foot.square, squares + lane);
  }
}

// How much further than a computed distance a disc may be and still hold the triangle that computes
// it, for the triangles of a tree: some rounding errors of their size, and those of where the
// discs' centres are stored, which count for a mesh far from the origin.
template <typename T>
PGNFACE_HD T rounding_of(const TriangleTree<const T>& tree) {
  T size = 0, away = 0;
  for (int lane = 0; lane < kWidth; ++lane) {
    const Disc<T> disc = Disc<T>::load(tree.child_discs(0) + lane);
    const T own = disc.radius + disc.height;
    if (!(own >= 0)) continue;  // empty
    size = own > size ? own : size;
    for (int i = 0; i < 3; ++i) {
      const T center = disc.center[i] < 0 ? -disc.center[i] : disc.center[i];
      away = center > away ? center : away;
    }
  }
  return kEpsilon<T> * (128 * size + 8 * away);
}

template <typename T>
PGNFACE_HD T reach_of(T square, T rounding) {
  const T reach = std::sqrt(square) * (1 + 16 * kEpsilon<T>)+rounding;
  const T result = reach * reach;
  return result < kMaximum<T> ? result : kMaximum<T>;
}

// Lowers `nearest` to the triangle of a tree that is nearest to a point, the nearest discs first.
template <typename V, typename T>
PGNFACE_HD void search(const TriangleTree<const T>& tree, const Vector3<T>& point, T rounding,
                       Nearest<T>& nearest) {
  struct Entry {
    T square;
    std::int32_t node;
  };
  // Each of at most ten levels leaves all children but one behind.
  Entry stack[10 * (kWidth - 1) + 1];
  int size = 1;
  stack[0] = {T(0), 0};
  const Vector3<V> p = {{V{} + point[0], V{} + point[1], V{} + point[2]}};
  T reach = reach_of(nearest.square, rounding);
  while (size > 0) {
    const Entry entry = stack[--size];
    if (entry.square > reach) continue;
    T squares[kWidth];
    if (entry.node >= tree.inner) {
      const std::int64_t leaf = entry.node - tree.inner;
      measure_leaf(tree.leaf_corners(leaf), p, squares);
      for (int lane = 0; lane < kWidth; ++lane) {
        if (squares[lane] <= nearest.square) nearest.offer(squares[lane], tree.id(leaf, lane));
      }
      reach = reach_of(nearest.square, rounding);
      continue;
    }
    measure_discs(tree.child_discs(entry.node), p, squares);
    const int first = size;
    for (int lane = 0; lane < kWidth; ++lane) {
      if (!(squares[lane] <= reach)) continue;
      int place = size++;  // the nearest goes to the top
      for (; place > first && stack[place - 1].square < squares[lane]; --place) {
        stack[place] = stack[place - 1];
      }
      stack[place] = {squares[lane], entry.node * kWidth + 1 + lane};
    }
  }
}

// Writes what belongs to a point whose triangle is found, or none.
template <typename T>
PGNFACE_HD void write_closest(const T* point, const T* vertices, const std::int32_t* triangles,
                              std::int64_t vertex_count, std::int32_t id, T* distance, T* closest,
                              T* barycentrics) {
  *distance = kInfinity<T>;
  for (int i = 0; i < 3; ++i) closest[i] = barycentrics[i] = 0;
  const T* corners[3];
  int place[3];
  if (id < 0) return;
  const std::int32_t* triangle = triangles + 3 * std::int64_t(id);
  if (!sorted_corners(vertices, triangle, vertex_count, corners, place)) return;
  const Foot<T> foot = nearest_in_triangle(load_point<T>(point), load_point<T>(corners[0]),
                                           load_point<T>(corners[1]), load_point<T>(corners[2]));
  *distance = std::sqrt(foot.square);
  for (int k = 0; k < 3; ++k) {
    barycentrics[place[k]] = foot.weights[k];
    for (int i = 0; i < 3; ++i) closest[i] += foot.weights[k] * corners[k][i];
  }
}

// Gradients of one point with its triangle kept. Hands those by the vertices to add(offset, term);
// grad_point may be null.
//
// With E the edges from one of the corners a with a weight to the other ones (none, one or two), x
// their weights and r = p - a - E x, the closest point has E^T r = 0. Its differential gives
// E^T E dx = E^T (dp - da - dE x) + dE^T r, so with E^T E y = dL/dx and h = E y:
// dL/dp = h, dL/da = -h, dL/dE = r y^T - h x^T.
template <typename T, typename Add>
PGNFACE_HD void closest_point_backward(T grad_distance, const T* grad_closest,
                                       const T* grad_barycentrics, const T* point,
                                       const T* vertices, const std::int32_t* triangles,
                                       std::int32_t id, const T* barycentrics, T* grad_point,
                                       std::int64_t vertex_count, std::int64_t triangle_count,
                                       const Add& add) {
  if (grad_point != nullptr) grad_point[0] = grad_point[1] = grad_point[2] = 0;
  if (id < 0 || id >= triangle_count) return;
  const std::int32_t* triangle = triangles + 3 * std::int64_t(id);
  const T* corners[3];
  if (!triangle_vertices(vertices, triangle, vertex_count, corners)) return;
  // Of the corners that have a weight.
  Vector3<T> corner[3] = {};
  T weight[3] = {}, grad_weight[3] = {};
  std::int64_t offset[3] = {};
  int count = 0;
  for (int k = 0; k < 3; ++k) {
    if (barycentrics[k] == 0) continue;
    corner[count] = load_point<T>(corners[k]);
    weight[count] = barycentrics[k];
    grad_weight[count] = grad_barycentrics[k];
    offset[count++] = 3 * std::int64_t(triangle[k]);
  }
  Vector3<T> edge[2] = {}, gap = load_point<T>(point) - corner[0];
  for (int k = 1; k < count; ++k) {
    edge[k - 1] = corner[k] - corner[0];
    gap = gap - weight[k] * edge[k - 1];
  }
  const T distance = std::sqrt(dot(gap, gap));
  const Vector3<T> apart = (distance > 0 ? grad_distance / distance : T(0)) * gap;
  const Vector3<T> grad = load_point<T>(grad_closest) - apart;  // by the closest point
  T g[2] = {}, y[2] = {};
  for (int k = 1; k < count; ++k) {
    g[k - 1] = grad_weight[k] - grad_weight[0] + dot(grad, edge[k - 1]);
  }
  const T s00 = dot(edge[0], edge[0]), s01 = dot(edge[0], edge[1]), s11 = dot(edge[1], edge[1]);
  if (count == 2) {
    y[0] = g[0] / s00;
  } else if (count == 3) {
    const Vector3<T> normal = cross(edge[0], edge[1]);
    const T determinant = dot(normal, normal);
    y[0] = (s11 * g[0] - s01 * g[1]) / determinant;
    y[1] = (s00 * g[1] - s01 * g[0]) / determinant;
  }
  const Vector3<T> h = y[0] * edge[0] + y[1] * edge[1];
  for (int i = 0; i < 3; ++i) {
    if (grad_point != nullptr) grad_point[i] = h[i] + apart[i];
    T grad_origin = weight[0] * grad[i] - h[i];
    for (int k = 1; k < count; ++k) {
      const T term = y[k - 1] * gap[i] - weight[k] * h[i];
      add(offset[k] + i, weight[k] * grad[i] + term);
      grad_origin -= term;
    }
    add(offset[0] + i, grad_origin);
  }
}

// The gradients are written whole; either may be null. workspace: CUDA in the deterministic mode,
// as many int64 as grad_vertices has values and one more.
#define PGNFACE_DECLARE(device)                                                                    \
  template <typename T>                                                                            \
  void closest_point_forward_##device(                                                             \
      const T* points, const T* vertices, const std::int32_t* triangles,                           \
      const std::int32_t* order, const T* corners, const T* discs, T* distances, T* closest,       \
      std::int32_t* triangle_ids, T* barycentrics, std::int64_t batch, std::int64_t count,         \
      std::int64_t vertex_count, std::int64_t triangle_count, const Context& context);             \
  template <typename T>                                                                            \
  void closest_point_backward_##device(                                                            \
      const T* grad_distances, const T* grad_closest, const T* grad_barycentrics, const T* points, \
      const T* vertices, const std::int32_t* triangles, const std::int32_t* triangle_ids,          \
      const T* barycentrics, T* grad_points, T* grad_vertices, std::int64_t* workspace,            \
      std::int64_t batch, std::int64_t count, std::int64_t vertex_count,                           \
      std::int64_t triangle_count, const Context& context);
PGNFACE_DECLARE(cpu)
PGNFACE_DECLARE(cuda)
#undef PGNFACE_DECLARE

}  // namespace pgnface
