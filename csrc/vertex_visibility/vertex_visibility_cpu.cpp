#include <algorithm>
#include <vector>

#include "common/parallel.h"
#include "vertex_visibility/vertex_visibility.h"

namespace pgnface {
namespace {

// Marks the vertices of those of `count` triangles that face the viewer.
template <typename T>
void mark_facing(const T* vertices, std::int64_t vertex_count, const std::int32_t* triangles,
                 std::int64_t count, std::uint8_t* seen) {
  for (std::int64_t t = 0; t < count; ++t) {
    const std::int32_t* triangle = triangles + 3 * t;
    if (!faces_viewer(vertices, triangle, vertex_count)) continue;
    for (int k = 0; k < 3; ++k) seen[triangle[k]] = 1;
  }
}

// Clears the marks of those of `count` vertices that something hides.
template <typename T>
void clear_hidden(const T* vertices, std::int64_t count, const T* depth, T tolerance,
                  std::int64_t height, std::int64_t width, std::uint8_t* seen) {
  for (std::int64_t v = 0; v < count; ++v) {
    seen[v] = seen[v] && passes_depth(vertices + 3 * v, depth, tolerance, height, width);
  }
}

}  // namespace

template <typename T>
void vertex_visibility_cpu(const T* vertices, const std::int32_t* triangles, const T* depth,
                           std::uint8_t* visible, double tolerance, std::int64_t batch,
                           std::int64_t vertex_count, std::int64_t triangle_count,
                           std::int64_t height, std::int64_t width, const Context& context) {
  require_vertex_indices("vertex_visibility", triangles, triangle_count, vertex_count);
  if (batch == 0) return;
  // Triangles mark shared vertices. Where an image has several threads, each has marks of its own:
  // in one array they would take its cache lines from each other.
  const std::int64_t parts = (std::max(context.threads, 1) + batch - 1) / batch;
  const std::int64_t triangle_step = (triangle_count + parts - 1) / parts;
  const std::int64_t vertex_step = (vertex_count + parts - 1) / parts;
  std::vector<std::uint8_t> copies((parts - 1) * batch * vertex_count);
  const auto marks = [&](std::int64_t n, std::int64_t part) {
    return part == 0 ? visible + n * vertex_count
                     : copies.data() + ((part - 1) * batch + n) * vertex_count;
  };
  const auto mark = [&](std::int64_t i) {
    const std::int64_t n = i / parts, begin = std::min(i % parts * triangle_step, triangle_count);
    mark_facing(vertices + n * vertex_count * 3, vertex_count, triangles + 3 * begin,
                std::min(triangle_step, triangle_count - begin), marks(n, i % parts));
  };
  const auto clear = [&](std::int64_t i) {
    const std::int64_t n = i / parts, begin = std::min(i % parts * vertex_step, vertex_count);
    const std::int64_t count = std::min(vertex_step, vertex_count - begin);
    std::uint8_t* seen = marks(n, 0) + begin;
    for (std::int64_t part = 1; part < parts; ++part) {
      const std::uint8_t* copy = marks(n, part) + begin;
      for (std::int64_t v = 0; v < count; ++v) seen[v] |= copy[v];
    }
    clear_hidden(vertices + 3 * (n * vertex_count + begin), count, depth + n * height * width,
                 T(tolerance), height, width, seen);
  };
  if (parts > 1) {
    parallel_steps({{batch * parts, mark}, {batch * parts, clear}}, context.threads);
  } else {
    parallel_for(batch, 1, context.threads, [&](std::int64_t n, std::int64_t) {
      mark(n);
      clear(n);
    });
  }
}

#define PGNFACE_INSTANTIATE(T)                                                                   \
  template void vertex_visibility_cpu<T>(const T*, const std::int32_t*, const T*, std::uint8_t*, \
                                         double, std::int64_t, std::int64_t, std::int64_t,       \
                                         std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
