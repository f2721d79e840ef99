#include <algorithm>

#include "common/parallel.h"
#include "common/scatter.h"
#include "common/scratch.h"
#include "vertex_normals/vertex_normals.h"

namespace pgnface {
namespace {

// A vector with a fourth, unused coordinate, so that one instruction moves and adds it.
template <typename T>
struct Quad {
  typedef T Lanes __attribute__((vector_size(4 * sizeof(T))));
  Lanes v;
};

template <typename T>
inline Quad<T> quad(const Vector3<T>& a) {
  const typename Quad<T>::Lanes lanes = {a[0], a[1], a[2], T(0)};
  return {lanes};
}

template <typename T>
inline Quad<T> operator+(const Quad<T>& a, const Quad<T>& b) {
  return {a.v + b.v};
}

template <typename T>
inline Quad<T> operator-(const Quad<T>& a, const Quad<T>& b) {
  return {a.v - b.v};
}

template <typename T>
inline Quad<T> rotate(const Quad<T>& a) {
  const typename Quad<T>::Lanes lanes = {a.v[1], a.v[2], a.v[0], a.v[3]};
  return {lanes};
}

template <typename T>
inline Quad<T> cross(const Quad<T>& a, const Quad<T>& b) {
  return rotate(Quad<T>{a.v * rotate(b).v - rotate(a).v * b.v});
}

// Sums into `target` what body(triangle, add) hands to add(corner, term) for triangles [begin,
// end).
template <typename T, typename Body>
void scatter_corners(const std::int32_t* triangles, std::int64_t begin, std::int64_t end,
                     std::int64_t count, Quad<T>* sums, T* target, const Body& body) {
  std::fill_n(sums, count, Quad<T>{});
  for (const std::int32_t* t = triangles + 3 * begin; t != triangles + 3 * end; t += 3) {
    body(t, [=](int corner, const Quad<T>& term) { sums[t[corner]].v += term.v; });
  }
  for (std::int64_t v = 0; v < count; ++v) {
    for (int k = 0; k < 3; ++k) target[3 * v + k] = sums[v].v[k];
  }
}

}  // namespace

template <typename T>
void vertex_normals_forward_cpu(const T* vertices, const std::int32_t* triangles,
                                const std::int32_t* /*offsets*/, const std::int32_t* /*incident*/,
                                T* normals, T* inverse_lengths, T* /*workspace*/,
                                std::int64_t batch, std::int64_t count, std::int64_t triangle_count,
                                const Context& context) {
  scatter_in_bands(
      normals, batch, 3 * count, triangle_count, context.threads,
      [&](std::int64_t item, std::int64_t begin, std::int64_t end, T* target) {
        static thread_local Scratch<Quad<T>> scratch;
        Quad<T>*const points = scratch.reserve(2 * count), *const sums = points + count;
        for (std::int64_t v = 0; v < count; ++v) {
          points[v] = quad(load_vector(vertices, item * count + v));
        }
        scatter_corners(triangles, begin, end, count, sums, target,
                        [=](const std::int32_t* t, const auto& add) {
                          const Quad<T> normal =
                              area_normal(points[t[0]], points[t[1]], points[t[2]]);
                          for (int k = 0; k < 3; ++k) add(k, normal);
                        });
      },
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t v = begin / 3; v < end / 3; ++v) {
          inverse_lengths[v] = normalize(normals + 3 * v);
        }
      });
}

template <typename T>
void vertex_normals_backward_cpu(const T* grad_normals, const T* vertices,
                                 const std::int32_t* triangles, const std::int32_t* /*offsets*/,
                                 const std::int32_t* /*incident*/, const T* normals,
                                 const T* inverse_lengths, T* grad_vertices, T* /*workspace*/,
                                 std::int64_t batch, std::int64_t count,
                                 std::int64_t triangle_count, const Context& context) {
  scatter_in_bands(
      grad_vertices, batch, 3 * count, triangle_count, context.threads,
      [&](std::int64_t item, std::int64_t begin, std::int64_t end, T* target) {
        static thread_local Scratch<Quad<T>> scratch;
        Quad<T>*const points = scratch.reserve(3 * count), *const grads = points + count;
        for (std::int64_t v = 0; v < count; ++v) {
          const std::int64_t i = item * count + v;
          points[v] = quad(load_vector(vertices, i));
          grads[v] = quad(sum_gradient(grad_normals + 3 * i, normals + 3 * i, inverse_lengths[i]));
        }
        scatter_corners(triangles, begin, end, count, grads + count, target,
                        [=](const std::int32_t* t, const auto& add) {
                          const Quad<T>&a = points[t[0]], &b = points[t[1]], &c = points[t[2]];
                          const Quad<T> grad = grads[t[0]] + grads[t[1]] + grads[t[2]];
                          add(0, corner_gradient(b, c, grad));
                          add(1, corner_gradient(c, a, grad));
                          add(2, corner_gradient(a, b, grad));
                        });
      });
}

#define PGNFACE_INSTANTIATE(T)                                                                     \
  template void vertex_normals_forward_cpu<T>(const T*, const std::int32_t*, const std::int32_t*,  \
                                              const std::int32_t*, T*, T*, T*, std::int64_t,       \
                                              std::int64_t, std::int64_t, const Context&);         \
  template void vertex_normals_backward_cpu<T>(                                                    \
      const T*, const T*, const std::int32_t*, const std::int32_t*, const std::int32_t*, const T*, \
      const T*, T*, T*, std::int64_t, std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
