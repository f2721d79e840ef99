// Trees over the triangles of a mesh: which of them can be nearest to a point?
//
//   vertices  (batch, vertex_count, 3)
//   triangles (triangle_count, 3) int32
//   codes     (batch, triangle_count) int32: where each triangle lies along a Hilbert curve
//   order     (batch, triangle_count) int32: the triangles, sorted by their codes
//   corners   (batch, leaves, 9, kWidth): x, y, z of the three corners, in the order of their
//   vertex
//             numbers; NaN for a triangle that is not usable
//   discs     (batch, inner nodes, kDisc, kWidth): of each child
//
// A leaf holds the next kWidth triangles in that order, an inner node kWidth children (a packed
// Hilbert R-tree: Kamel and Faloutsos, VLDB 1994). The nodes are numbered as those of a heap, inner
// ones first: the children of node i are kWidth i + 1, ..., kWidth i + kWidth. So there are no
// pointers, and the shape depends on the number of triangles alone.
//
// A node's triangles lie in a disc: a cylinder around their mean normal, which is flat where the
// surface is smooth. Boxes along the axes stick out of a surface at a slant. A point some way off
// it has many of them nearer than the surface, and all their triangles would have to be measured.
//
// A triangle is not usable when a corner names no vertex, is not finite or exceeds kLargest.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "common/context.h"
#include "common/lanes.h"
#include "common/macros.h"
#include "common/matrix3.h"
#include "common/mesh.h"
#include "common/simd.h"

namespace pgnface {

constexpr int kWidth = 8;
constexpr int kDisc = 8;  // numbers of a disc

// The fourth power of a distance must be a number. That of the smallest one is zero, which costs
// triangles of that size their inside, and nothing else.
template <typename T>
constexpr T kLargest = sizeof(T) == 4 ? T(1e9) : T(1e70);

// As variables: device code may read these, but not call the functions.
template <typename T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();
template <typename T>
constexpr T kMaximum = std::numeric_limits<T>::max();
template <typename T>
constexpr T kEpsilon = std::numeric_limits<T>::epsilon();
template <typename T>
constexpr T kNotANumber = std::numeric_limits<T>::quiet_NaN();

template <typename T>
PGNFACE_HD bool is_usable(const T* point) {
  const T limit = kLargest<T>;
  bool usable = true;
  for (int i = 0; i < 3; ++i) usable = usable && point[i] >= -limit && point[i] <= limit;
  return usable;
}

PGNFACE_HD std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

template <typename T>
struct TriangleTree {
  std::int64_t triangle_count;
  std::int64_t leaves, inner;  // nodes
  const std::int32_t* order;
  T *corners, *discs;  // written when it is built

  PGNFACE_HD TriangleTree(std::int64_t triangles, const std::int32_t* order, T* corners, T* discs)
      : triangle_count(triangles),
        leaves(ceil_div(triangles, kWidth)),
        inner(leaves > 1 ? ceil_div(leaves - 1, kWidth - 1) : leaves),
        order(order),
        corners(corners),
        discs(discs) {}

  // That of another mesh of the batch.
  PGNFACE_HD TriangleTree of(std::int64_t item) const {
    return {triangle_count, order + item * triangle_count, corners + item * leaves * 9 * kWidth,
            discs + item * inner * kDisc * kWidth};
  }

  PGNFACE_HD std::int64_t nodes() const { return inner + leaves; }

  // Number of a triangle; the last leaf repeats the last one.
  PGNFACE_HD std::int32_t id(std::int64_t leaf, int lane) const {
    const std::int64_t place = leaf * kWidth + lane;
    return order[place < triangle_count ? place : triangle_count - 1];
  }

  PGNFACE_HD T* leaf_corners(std::int64_t leaf) const { return corners + leaf * 9 * kWidth; }
  PGNFACE_HD T* child_discs(std::int64_t node) const { return discs + node * kDisc * kWidth; }

  // That of a node other than the root, in its parent; its numbers are kWidth apart.
  PGNFACE_HD T* disc(std::int64_t node) const {
    return child_discs((node - 1) / kWidth) + (node - 1) % kWidth;
  }
};

// The maths of one item take values V: numbers, or as many of them as a node has children side by
// side (Lanes of common/lanes.h).
template <typename V, typename T>
PGNFACE_HD V load(const T* values) {
#ifndef __CUDACC__
  if constexpr (!std::is_same_v<V, T>) {
    return *reinterpret_cast<const VectorOf<T, sizeof(V)>*>(values);
  } else
#endif
    return *values;
}

template <typename V, typename T>
PGNFACE_HD void store(const V& value, T* target) {
#ifndef __CUDACC__
  if constexpr (!std::is_same_v<V, T>) {
    *reinterpret_cast<VectorOf<T, sizeof(V)>*>(target) = value;
  } else
#endif
    *target = value;
}

template <typename V, typename T>
PGNFACE_HD Vector3<V> load_point(const T* values, int stride = 1) {
  return {{load<V>(values), load<V>(values + stride), load<V>(values + 2 * stride)}};
}

template <typename V>
PGNFACE_HD V length_of(const Vector3<V>& a) {
  return square_root(dot(a, a));
}

// Points at most `height` along the unit vector `axis` from `center`, either way, and at most
// `radius` across it. An empty one has the height -infinity. Its numbers are kWidth apart.
template <typename V>
struct Disc {
  Vector3<V> center, axis;
  V radius, height;

  template <typename T>
  static PGNFACE_HD Disc load(const T* values) {
    return {load_point<V>(values, kWidth), load_point<V>(values + 3 * kWidth, kWidth),
            pgnface::load<V>(values + 6 * kWidth), pgnface::load<V>(values + 7 * kWidth)};
  }

  static PGNFACE_HD Disc empty() { return {{}, {}, 0, -kInfinity<V>}; }

  PGNFACE_HD void store(V* values) const {
    for (int i = 0; i < 3; ++i) {
      values[i * kWidth] = center[i];
      values[(3 + i) * kWidth] = axis[i];
    }
    values[6 * kWidth] = radius;
    values[7 * kWidth] = height;
  }

  PGNFACE_HD V square_distance(const Vector3<V>& p) const {
    const Vector3<V> arm = p - center;
    const V along = dot(arm, axis), zero = {};
    const V beside = length_of(arm - along * axis) - radius;
    const V above = select(along < zero, -along, along) - height;
    const V side = select(beside > zero, beside, zero), gap = select(above > zero, above, zero);
    return gap * gap + side * side;
  }
};

// Encloses discs: first all their extents are given, then all discs themselves.
template <typename T>
class DiscAround {
 public:
  // A ball, and the direction of a surface in it times its area.
  PGNFACE_HD void extend(const Vector3<T>& center, T radius, const Vector3<T>& normal) {
    for (int i = 0; i < 3; ++i) {
      const T low = center[i] - radius, high = center[i] + radius;
      low_[i] = low < low_[i] ? low : low_[i];
      high_[i] = high > high_[i] ? high : high_[i];
    }
    normal_ = normal_ + normal;
  }

  PGNFACE_HD void begin() {
    const T length = length_of(normal_);
    axis_ = length > 0 ? 1 / length * normal_ : Vector3<T>{{0, 0, 1}};
    for (int i = 0; i < 3; ++i) center_[i] = (low_[i] + high_[i]) / 2;
  }

  PGNFACE_HD void enclose(const Disc<T>& disc) {
    const Vector3<T> arm = disc.center - center_;
    const T along = dot(arm, axis_);
    const T slant = length_of(cross(disc.axis, axis_));
    const T cosine = dot(disc.axis, axis_);
    const T reach = disc.radius * slant + disc.height * (cosine < 0 ? -cosine : cosine);
    const T across = length_of(arm - along * axis_) + disc.radius + disc.height * slant;
    bottom_ = along - reach < bottom_ ? along - reach : bottom_;
    top_ = along + reach > top_ ? along + reach : top_;
    radius_ = across > radius_ ? across : radius_;
  }

  PGNFACE_HD Disc<T> disc() const {
    if (!(top_ >= bottom_)) return Disc<T>::empty();
    return {center_ + (bottom_ + top_) / 2 * axis_, axis_, radius_, (top_ - bottom_) / 2};
  }

 private:
  Vector3<T> low_ = {{kInfinity<T>, kInfinity<T>, kInfinity<T>}};
  Vector3<T> high_ = {{-kInfinity<T>, -kInfinity<T>, -kInfinity<T>}};
  Vector3<T> normal_ = {}, axis_ = {}, center_ = {};
  T bottom_ = kInfinity<T>, top_ = -kInfinity<T>, radius_ = 0;
};

// Corners of a triangle in the order of their vertex numbers, so that two triangles measure the
// edge that they share alike; place[k]: which one of the triangle's is the k-th. False when it is
// not usable.
template <typename T>
PGNFACE_HD bool sorted_corners(const T* vertices, const std::int32_t* triangle,
                               std::int64_t vertex_count, const T* corners[3], int place[3]) {
  for (int k = 0; k < 3; ++k) place[k] = k;
  const auto sort = [&](int i, int j) {
    if (triangle[place[i]] <= triangle[place[j]]) return;
    const int kept = place[i];
    place[i] = place[j];
    place[j] = kept;
  };
  sort(0, 1);
  sort(1, 2);
  sort(0, 1);
  const T* own[3];
  if (!triangle_vertices(vertices, triangle, vertex_count, own)) return false;
  for (int k = 0; k < 3; ++k) corners[k] = own[place[k]];
  return is_usable(own[0]) && is_usable(own[1]) && is_usable(own[2]);
}

constexpr int kCurveBits = 10;  // of a coordinate

// Position of a cell along a Hilbert curve through 2^10 cells a side (Skilling, AIP Conference
// Proceedings 707, 2004).
PGNFACE_HD std::int32_t hilbert_code(std::uint32_t x, std::uint32_t y, std::uint32_t z) {
  std::uint32_t cell[3] = {x, y, z};
  for (std::uint32_t bit = 1u << (kCurveBits - 1); bit > 1; bit >>= 1) {
    const std::uint32_t below = bit - 1;
    PGNFACE_UNROLL
    for (int i = 0; i < 3; ++i) {
      const std::uint32_t changed = (cell[0] ^ cell[i]) & below;
      const bool mirrored = cell[i] & bit;
      cell[0] ^= mirrored ? below : changed;
      cell[i] ^= mirrored ? 0 : changed;
    }
  }
  cell[1] ^= cell[0];
  cell[2] ^= cell[1];
  std::uint32_t turned = 0;
  for (std::uint32_t bit = 1u << (kCurveBits - 1); bit > 1; bit >>= 1) {
    turned ^= cell[2] & bit ? bit - 1 : 0;
  }
  std::uint32_t code = 0;
  for (int bit = kCurveBits - 1; bit >= 0; --bit) {
    for (int i = 0; i < 3; ++i) code = code << 1 | ((cell[i] ^ turned) >> bit & 1);
  }
  return static_cast<std::int32_t>(code);
}

// Code of the middle of a triangle; triangles that are not usable come last. bounds: the lowest
// corner of the mesh's box, and the length of its longest side.
template <typename T>
PGNFACE_HD std::int32_t triangle_code(const T* vertices, const std::int32_t* triangle,
                                      std::int64_t vertex_count, const T* bounds) {
  const T* corners[3];
  int place[3];
  if (!sorted_corners(vertices, triangle, vertex_count, corners, place)) {
    return kMaximum<std::int32_t>;
  }
  const T cells = T(1 << kCurveBits);
  std::uint32_t cell[3];
  for (int i = 0; i < 3; ++i) {
    const T middle = (corners[0][i] + corners[1][i] + corners[2][i]) / 3;
    const T along = (middle - bounds[i]) / bounds[3] * cells;
    cell[i] = along > 0 ? static_cast<std::uint32_t>(along < cells ? along : cells - 1) : 0;
  }
  return hilbert_code(cell[0], cell[1], cell[2]);
}

// Writes the corners of a leaf's triangles, and its disc into its parent.
template <typename T>
PGNFACE_HD void fill_leaf(const T* vertices, const std::int32_t* triangles,
                          std::int64_t vertex_count, const TriangleTree<T>& tree,
                          std::int64_t leaf) {
  T* target = tree.leaf_corners(leaf);
  DiscAround<T> around;
  for (int lane = 0; lane < kWidth; ++lane) {
    const T* corners[3];
    int place[3];
    const std::int32_t* triangle = triangles + 3 * std::int64_t(tree.id(leaf, lane));
    const bool usable = sorted_corners(vertices, triangle, vertex_count, corners, place);
    for (int i = 0; i < 9; ++i) {
      const T value = usable ? corners[i / 3][i % 3] : kNotANumber<T>;
      target[i * kWidth + lane] = value;
    }
    if (!usable) continue;
    const Vector3<T> a = load_point<T>(vertices + 3 * std::int64_t(triangle[0]));
    const Vector3<T> b = load_point<T>(vertices + 3 * std::int64_t(triangle[1]));
    const Vector3<T> c = load_point<T>(vertices + 3 * std::int64_t(triangle[2]));
    around.extend(a, T(0), cross(b - a, c - a));
    around.extend(b, T(0), {});
    around.extend(c, T(0), {});
  }
  around.begin();
  for (int i = 0; i < 3 * kWidth; ++i) {
    const T* corner = target + i / kWidth * 3 * kWidth + i % kWidth;
    if (*corner == *corner) around.enclose({load_point<T>(corner, kWidth), {}, T(0), T(0)});
  }
  around.disc().store(tree.disc(tree.inner + leaf));
}

// Writes the disc of an inner node, whose children's discs are there, into its parent. Children
// that it does not have get empty ones.
template <typename T>
PGNFACE_HD void fill_inner(const TriangleTree<T>& tree, std::int64_t node) {
  T* children = tree.child_discs(node);
  DiscAround<T> around;
  for (int lane = 0; lane < kWidth; ++lane) {
    if (node * kWidth + 1 + lane >= tree.nodes()) Disc<T>::empty().store(children + lane);
    const Disc<T> disc = Disc<T>::load(children + lane);
    if (disc.height < 0) continue;
    around.extend(disc.center, disc.radius + disc.height, disc.radius * disc.radius * disc.axis);
  }
  around.begin();
  for (int lane = 0; lane < kWidth; ++lane) {
    const Disc<T> disc = Disc<T>::load(children + lane);
    if (disc.height >= 0) around.enclose(disc);
  }
  if (node > 0) around.disc().store(tree.disc(node));
}

// bounds (batch, 4): see triangle_code. corners and discs are written whole.
#define PGNFACE_DECLARE(device)                                                                    \
  template <typename T>                                                                            \
  void triangle_codes_##device(const T* vertices, const std::int32_t* triangles, const T* bounds,  \
                               std::int32_t* codes, std::int64_t batch, std::int64_t vertex_count, \
                               std::int64_t triangle_count, const Context& context);               \
  template <typename T>                                                                            \
  void triangle_discs_##device(const T* vertices, const std::int32_t* triangles,                   \
                               const std::int32_t* order, T* corners, T* discs,                    \
                               std::int64_t batch, std::int64_t vertex_count,                      \
                               std::int64_t triangle_count, const Context& context);
PGNFACE_DECLARE(cpu)
PGNFACE_DECLARE(cuda)
#undef PGNFACE_DECLARE

}  // namespace pgnface
