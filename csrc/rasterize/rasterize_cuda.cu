#include "common/cuda.h"
#include "common/mesh.h"
#include "common/scatter.cuh"
#include "rasterize/barycentric.h"
#include "rasterize/coverage.h"
#include "rasterize/rasterize.h"

namespace pgnface {
namespace {

constexpr unsigned kAllLanes = 0xffffffffu;
// Pixels of a box up to which one thread, or one warp, draws a triangle. The queue takes the rest,
// and with it all triangles that need 64-bit edge functions.
constexpr std::int64_t kThreadPixels = 32, kWarpPixels = 2048;
constexpr int kTileWidth = 32, kTileHeight = kBlock / kTileWidth;

struct Mesh {
  const float* vertices;
  const std::int32_t* triangles;
  std::int64_t batch, vertex_count, triangle_count;
};

struct Canvas {
  Key* keys;
  std::int32_t height, width;

  __device__ Key* image(std::int64_t n) const { return keys + n * height * width; }
};

struct Triangle {
  FixedVertex corner[3];
  PixelBox box;
  std::int32_t id;
  std::int64_t image;

  // Triangle `item` of all images; its box is empty where it covers nothing.
  __device__ Triangle(const Mesh& mesh, const Canvas& canvas, std::int64_t item)
      : box{1, 1, 0, 0},
        id(static_cast<std::int32_t>(item % mesh.triangle_count)),
        image(item / mesh.triangle_count) {
    const float* v[3];
    if (!triangle_vertices(mesh.vertices + image * mesh.vertex_count * 3,
                           mesh.triangles + 3 * std::int64_t(id), mesh.vertex_count, v)) {
      return;
    }
    for (int k = 0; k < 3; ++k) corner[k] = snap_vertex(v[k]);
    box = pixel_box(corner[0], corner[1], corner[2], canvas.width, 0, canvas.height);
  }

  template <typename Integer>
  __device__ bool edges(EdgeFunctions<Integer>& functions) const {
    return functions.set(corner[0], corner[1], corner[2], box);
  }
  __device__ bool small() const { return is_small(corner[0], corner[1], corner[2]); }
};

__device__ void offer(Key* pixel, float depth, std::int32_t id) {
  atomicMin(pixel, depth_key(depth, id));
}

template <typename Integer>
__device__ void offer_pixel(const EdgeFunctions<Integer>& edges, const PixelBox& box,
                            std::int32_t column, std::int32_t row, Key* image, std::int32_t width,
                            std::int32_t id) {
  Integer e[3];
  for (int k = 0; k < 3; ++k) {
    e[k] = edges.value[k] + column * edges.step_x[k] + row * edges.step_y[k];
  }
  if ((e[0] | e[1] | e[2]) < 0) return;
  offer(image + std::int64_t(box.y0 + row) * width + box.x0 + column, edges.depth(e[1], e[2]), id);
}

// Pixels first, first + stride, ... of a small triangle's box.
__device__ void draw_small(const Triangle& triangle, const Canvas& canvas, std::int32_t first,
                           std::int32_t stride) {
  EdgeFunctions<std::int32_t> edges;
  if (!triangle.edges(edges)) return;
  Key* image = canvas.image(triangle.image);
  const PixelBox& box = triangle.box;
  const std::int32_t columns = box.x1 - box.x0 + 1;
  const std::int32_t count = static_cast<std::int32_t>(box.area());
  for (std::int32_t i = first; i < count; i += stride) {
    offer_pixel(edges, box, i % columns, i / columns, image, canvas.width, triangle.id);
  }
}

__global__ void draw_kernel(Mesh mesh, Canvas canvas, std::int64_t* queue, Key* queued) {
  const int lane = threadIdx.x % 32;
  const std::int64_t count = mesh.batch * mesh.triangle_count;
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  std::int64_t base = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x - lane;
  for (; base < count; base += stride) {
    bool for_warp = false;
    if (base + lane < count) {
      const Triangle triangle(mesh, canvas, base + lane);
      if (!triangle.box.empty()) {
        const bool queue_it = !triangle.small() || triangle.box.area() > kWarpPixels;
        for_warp = !queue_it && triangle.box.area() > kThreadPixels;
        if (queue_it) {
          queue[atomicAdd(queued, Key(1))] = base + lane;
        } else if (!for_warp) {
          draw_small(triangle, canvas, 0, 1);
        }
      }
    }
    for (unsigned left = __ballot_sync(kAllLanes, for_warp); left != 0; left &= left - 1) {
      draw_small(Triangle(mesh, canvas, base + __ffs(left) - 1), canvas, lane, 32);
    }
  }
}

// Whether an edge function is negative all over a tile: so it is at the corner where it is largest.
__device__ bool tile_is_outside(const EdgeFunctions<std::int64_t>& edges, std::int32_t column,
                                std::int32_t row) {
  for (int k = 0; k < 3; ++k) {
    const std::int64_t x = column + (edges.step_x[k] > 0 ? kTileWidth - 1 : 0);
    const std::int64_t y = row + (edges.step_y[k] > 0 ? kTileHeight - 1 : 0);
    if (edges.value[k] + x * edges.step_x[k] + y * edges.step_y[k] < 0) return true;
  }
  return false;
}

// All blocks of a row of the grid share a large triangle tile by tile.
__global__ void draw_queue_kernel(Mesh mesh, Canvas canvas, const std::int64_t* queue,
                                  const Key* queued) {
  const std::int32_t tile_x = threadIdx.x % kTileWidth, tile_y = threadIdx.x / kTileWidth;
  const std::int64_t count = static_cast<std::int64_t>(*queued);
  for (std::int64_t i = blockIdx.y; i < count; i += gridDim.y) {
    const Triangle triangle(mesh, canvas, queue[i]);
    EdgeFunctions<std::int64_t> edges;
    if (!triangle.edges(edges)) continue;
    const PixelBox& box = triangle.box;
    const std::int32_t columns = (box.x1 - box.x0) / kTileWidth + 1;
    const std::int32_t tiles = columns * ((box.y1 - box.y0) / kTileHeight + 1);
    for (std::int32_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      const std::int32_t column = tile % columns * kTileWidth, row = tile / columns * kTileHeight;
      if (tile_is_outside(edges, column, row)) continue;
      if (box.x0 + column + tile_x > box.x1 || box.y0 + row + tile_y > box.y1) continue;
      offer_pixel(edges, box, column + tile_x, row + tile_y, canvas.image(triangle.image),
                  canvas.width, triangle.id);
    }
  }
}

__global__ void resolve_kernel(Mesh mesh, Canvas canvas, std::int32_t* triangle_ids,
                               float* barycentrics, float* depth) {
  const std::int64_t pixels = std::int64_t(canvas.height) * canvas.width;
  PGNFACE_GRID_LOOP(i, mesh.batch * pixels) {
    const Key key = canvas.keys[i];
    float weights[2] = {0, 0}, z = __int_as_float(kInfinityBits);
    const std::int32_t id = key == kEmpty ? -1 : static_cast<std::int32_t>(key);
    if (id >= 0) {
      const std::int64_t pixel = i % pixels;
      resolve_pixel(mesh.vertices + i / pixels * mesh.vertex_count * 3,
                    mesh.triangles + 3 * std::int64_t(id), pixel % canvas.width,
                    pixel / canvas.width, weights, &z);
    }
    triangle_ids[i] = id;
    barycentrics[2 * i] = weights[0];
    barycentrics[2 * i + 1] = weights[1];
    depth[i] = z;
  }
}

struct ResolveBackward {
  const float *grad_barycentrics, *grad_depth;
  Mesh mesh;
  const std::int32_t* triangle_ids;
  std::int64_t height, width;

  template <typename Add>
  __device__ void operator()(std::int64_t i, const Add& add) const {
    const std::int32_t id = triangle_ids[i];
    if (id < 0 || id >= mesh.triangle_count) return;
    const std::int64_t n = i / (height * width), pixel = i % (height * width);
    const float* vertices = mesh.vertices + n * mesh.vertex_count * 3;
    const std::int32_t* triangle = mesh.triangles + 3 * std::int64_t(id);
    const float* unused[3];
    if (!triangle_vertices(vertices, triangle, mesh.vertex_count, unused)) return;
    resolve_pixel_backward(vertices, triangle, pixel % width, pixel / width,
                           grad_barycentrics ? grad_barycentrics + 2 * i : nullptr,
                           grad_depth ? grad_depth + i : nullptr, [&](std::int64_t k, float term) {
                             add(n * mesh.vertex_count * 3 + k, term);
                           });
  }
};

}  // namespace

template <typename T>
void rasterize_forward_cuda(const T* vertices, const std::int32_t* triangles,
                            std::int32_t* triangle_ids, T* barycentrics, T* depth,
                            std::int64_t* workspace, std::int64_t batch, std::int64_t vertex_count,
                            std::int64_t triangle_count, std::int64_t height, std::int64_t width,
                            const Context& context) {
  DeviceGuard guard(context);
  if (batch == 0) return;
  const cudaStream_t stream = stream_of(context);
  const std::int64_t pixels = batch * height * width;
  const Mesh mesh{vertices, triangles, batch, vertex_count, triangle_count};
  const Canvas canvas{reinterpret_cast<Key*>(workspace), static_cast<std::int32_t>(height),
                      static_cast<std::int32_t>(width)};
  Key* queued = canvas.keys + pixels;
  std::int64_t* queue = workspace + pixels + 1;
  check_cuda(cudaMemsetAsync(canvas.keys, 0xff, pixels * sizeof(Key), stream), "rasterize");
  check_cuda(cudaMemsetAsync(queued, 0, sizeof(Key), stream), "rasterize");
  if (triangle_count > 0) {
    draw_kernel<<<grid_for(batch * triangle_count), kBlock, 0, stream>>>(mesh, canvas, queue,
                                                                         queued);
    draw_queue_kernel<<<dim3(64, 16), kBlock, 0, stream>>>(mesh, canvas, queue, queued);
  }
  resolve_kernel<<<grid_for(pixels), kBlock, 0, stream>>>(mesh, canvas, triangle_ids, barycentrics,
                                                          depth);
  check_cuda(cudaGetLastError(), "rasterize");
}

template <typename T>
void rasterize_backward_cuda(const T* grad_barycentrics, const T* grad_depth, const T* vertices,
                             const std::int32_t* triangles, const std::int32_t* triangle_ids,
                             T* grad_vertices, std::int64_t* workspace, std::int64_t batch,
                             std::int64_t vertex_count, std::int64_t triangle_count,
                             std::int64_t height, std::int64_t width, const Context& context) {
  DeviceGuard guard(context);
  const ResolveBackward emit{
      grad_barycentrics, grad_depth, {vertices, triangles, batch, vertex_count, triangle_count},
      triangle_ids,      height,     width};
  scatter_add(batch * height * width, emit, grad_vertices, batch * vertex_count * 3, workspace,
              context);
}

template void rasterize_forward_cuda<float>(const float*, const std::int32_t*, std::int32_t*,
                                            float*, float*, std::int64_t*, std::int64_t,
                                            std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                                            const Context&);
template void rasterize_backward_cuda<float>(const float*, const float*, const float*,
                                             const std::int32_t*, const std::int32_t*, float*,
                                             std::int64_t*, std::int64_t, std::int64_t,
                                             std::int64_t, std::int64_t, std::int64_t,
                                             const Context&);

}  // namespace pgnface
