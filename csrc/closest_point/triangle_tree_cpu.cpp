#include <algorithm>

#include "closest_point/triangle_tree.h"
#include "common/parallel.h"

namespace pgnface {

template <typename T>
void triangle_codes_cpu(const T* vertices, const std::int32_t* triangles, const T* bounds,
                        std::int32_t* codes, std::int64_t batch, std::int64_t vertex_count,
                        std::int64_t triangle_count, const Context& context) {
  require_vertex_indices("closest_point", triangles, triangle_count, vertex_count);
  parallel_for(batch * triangle_count, 4096, context.threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t n = i / triangle_count, id = i % triangle_count;
                   codes[i] = triangle_code(vertices + n * vertex_count * 3, triangles + 3 * id,
                                            vertex_count, bounds + 4 * n);
                 }
               });
}

template <typename T>
void triangle_discs_cpu(const T* vertices, const std::int32_t* triangles, const std::int32_t* order,
                        T* corners, T* discs, std::int64_t batch, std::int64_t vertex_count,
                        std::int64_t triangle_count, const Context& context) {
  const TriangleTree<T> trees(triangle_count, order, corners, discs);
  const std::int64_t chunk = 256, chunks = ceil_div(trees.leaves, chunk);
  parallel_for(batch * chunks, 1, context.threads, [&](std::int64_t i, std::int64_t) {
    const std::int64_t n = i / chunks, begin = i % chunks * chunk;
    const TriangleTree<T> tree = trees.of(n);
    for (std::int64_t leaf = begin; leaf < std::min(begin + chunk, tree.leaves); ++leaf) {
      fill_leaf(vertices + n * vertex_count * 3, triangles, vertex_count, tree, leaf);
    }
  });
  parallel_for(batch, 1, context.threads, [&](std::int64_t n, std::int64_t) {
    const TriangleTree<T> tree = trees.of(n);
    for (std::int64_t node = tree.inner - 1; node >= 0; --node) fill_inner(tree, node);
  });
}

#define PGNFACE_INSTANTIATE(T)                                                                    \
  template void triangle_codes_cpu<T>(const T*, const std::int32_t*, const T*, std::int32_t*,     \
                                      std::int64_t, std::int64_t, std::int64_t, const Context&);  \
  template void triangle_discs_cpu<T>(const T*, const std::int32_t*, const std::int32_t*, T*, T*, \
                                      std::int64_t, std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
