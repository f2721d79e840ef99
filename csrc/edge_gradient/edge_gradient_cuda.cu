#include "common/batch_index.h"
#include "common/cuda.h"
#include "common/scatter.cuh"
#include "edge_gradient/edge_gradient.h"

namespace pgnface {
namespace {

// One pixel's boundaries with the next pixel of its row and of its column.
struct Backward {
  const float *grad_image, *image, *vertices;
  const std::int32_t *triangles, *triangle_ids;
  const float *barycentrics, *depth;
  std::int64_t vertex_count, triangle_count, height, width, channels;

  __device__ Surface<float> surface(std::int64_t pixel, std::int64_t offset) const {
    return surface_at(vertices + offset, triangles, triangle_ids[pixel], depth[pixel], vertex_count,
                      triangle_count);
  }

  template <typename Add>
  __device__ void operator()(std::int64_t i, const Add& add) const {
    const Pixel at = pixel_at(i, height, width);
    const bool right = at.column + 1 < width && triangle_ids[i + 1] != triangle_ids[i];
    const bool below = at.row + 1 < height && triangle_ids[i + width] != triangle_ids[i];
    if (!right && !below) return;
    const std::int64_t offset = at.image * vertex_count * 3;
    const auto add_to_image = [&](std::int64_t k, float term) { add(offset + k, term); };
    const Surface<float> a = surface(i, offset);
    if (right) {
      const Surface<float> b = surface(i + 1, offset);
      boundary(a, b, nearer_of(a.id, b.id, a.z, b.z, a.slope_x, b.slope_x), 0, i, i + 1,
               add_to_image);
    }
    if (below) {
      const Surface<float> b = surface(i + width, offset);
      boundary(a, b, nearer_of(a.id, b.id, a.z, b.z, a.slope_y, b.slope_y), 1, i, i + width,
               add_to_image);
    }
  }

  template <typename Add>
  __device__ void boundary(const Surface<float>& a, const Surface<float>& b, std::int32_t nearer,
                           int axis, std::int64_t first, std::int64_t second,
                           const Add& add) const {
    if (nearer == 0) return;
    boundary_backward(triangles + 3 * std::int64_t(nearer == 1 ? a.id : b.id),
                      nearer == 1 ? first : second, axis, first, second, grad_image, image,
                      barycentrics, channels, add);
  }
};

}  // namespace

template <typename T>
void edge_gradient_backward_cuda(const T* grad_image, const T* image, const T* vertices,
                                 const std::int32_t* triangles, const std::int32_t* triangle_ids,
                                 const T* barycentrics, const T* depth, T* grad_vertices,
                                 std::int64_t* workspace, std::int64_t batch,
                                 std::int64_t vertex_count, std::int64_t triangle_count,
                                 std::int64_t height, std::int64_t width, std::int64_t channels,
                                 const Context& context) {
  DeviceGuard guard(context);
  const Backward backward{grad_image,     image,        vertices, triangles,
                          triangle_ids,   barycentrics, depth,    vertex_count,
                          triangle_count, height,       width,    channels};
  scatter_add(batch * height * width, backward, grad_vertices, batch * vertex_count * 3, workspace,
              context);
}

template void edge_gradient_backward_cuda<float>(const float*, const float*, const float*,
                                                 const std::int32_t*, const std::int32_t*,
                                                 const float*, const float*, float*, std::int64_t*,
                                                 std::int64_t, std::int64_t, std::int64_t,
                                                 std::int64_t, std::int64_t, std::int64_t,
                                                 const Context&);

}  // namespace pgnface
