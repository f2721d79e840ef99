#include "common/batch_index.h"
#include "common/cuda.h"
#include "common/mesh.h"
#include "common/scatter.cuh"
#include "rasterize/barycentric.h"
#include "rasterize/coverage.h"
#include "rasterize/rasterize.h"

namespace pgnface {
namespace {

// Pixels of a box up to which the thread that finds a triangle draws it, and those up to which a
// warp does. Blocks share the rest, and with it all triangles that need 64-bit edge functions.
constexpr std::int64_t kThreadPixels = 32, kWarpPixels = 2048;
// A warp draws 8x4 pixels at a time, a block 32x8.
constexpr int kWarpWidth = 8, kWarpHeight = 32 / kWarpWidth;
constexpr int kTileWidth = 32, kTileHeight = kBlock / kTileWidth;
constexpr unsigned kQueueBlocks = 528;  // four for each multiprocessor of an H100
constexpr unsigned kMaxGrid = 65535;    // blocks along y and z

struct Mesh {
  const float* vertices;
  const std::int32_t* triangles;
  std::int64_t batch, vertex_count;
  std::int32_t triangle_count;
};

struct Canvas {
  Key* keys;
  std::int32_t height, width;

  __device__ Key* image(std::int64_t n) const { return keys + n * (std::int64_t(height) * width); }
};

// Triangles that one thread does not draw: those for a warp from the front, those for blocks from
// the back. The counts begin at -1, so that one memset clears them and the keys.
struct Queue {
  Key* counts;          // of warps, of blocks
  std::int64_t* items;  // image * triangle_count + triangle
  std::int64_t capacity;

  // All lanes of a warp call it; those with `wanted` have their item appended.
  __device__ void push_to_warps(bool wanted, std::int64_t item) const {
    const std::int64_t place = append(counts, wanted);
    if (wanted) items[place] = item;
  }
  __device__ void push_to_blocks(bool wanted, std::int64_t item) const {
    const std::int64_t place = append(counts + 1, wanted);
    if (wanted) items[capacity - 1 - place] = item;
  }
  __device__ std::int64_t warp_items() const { return static_cast<std::int64_t>(counts[0]) + 1; }
  __device__ std::int64_t block_items() const { return static_cast<std::int64_t>(counts[1]) + 1; }

 private:
  // Places for the lanes that want one, by one addition for all of them.
  static __device__ std::int64_t append(Key* count, bool wanted) {
    const unsigned wanting = __ballot_sync(kFullWarp, wanted);
    if (wanting == 0) return 0;
    const int lane = threadIdx.x % 32;
    Key last = 0;
    if (lane == 0) last = atomicAdd(count, Key(__popc(wanting)));
    return static_cast<std::int64_t>(__shfl_sync(kFullWarp, last, 0)) + 1 +
           __popc(wanting & ((1u << lane) - 1));
  }
};

struct Triangle {
  FixedVertex corner[3];
  PixelBox box;  // empty where the triangle covers nothing

  __device__ Triangle(const Mesh& mesh, const Canvas& canvas, std::int64_t image, std::int32_t id)
      : box{1, 1, 0, 0} {
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
};

// Keys only ever fall, so an old value that still beats the new one settles it without an atomic.
__device__ void offer(Key* pixel, float depth, std::int32_t id) {
  const Key key = depth_key(depth, id);
  if (key < *static_cast<volatile Key*>(pixel)) atomicMin(pixel, key);
}

// Offers a triangle to pixel (column, row) of its box.
template <typename Integer>
__device__ void offer_pixel(const EdgeFunctions<Integer>& edges, std::int32_t column,
                            std::int32_t row, Key* pixel, std::int32_t id) {
  Integer e[3];
  for (int k = 0; k < 3; ++k) {
    e[k] = edges.value[k] + column * edges.step_x[k] + row * edges.step_y[k];
  }
  if ((e[0] | e[1] | e[2]) < 0) return;
  offer(pixel, edges.depth(e[1], e[2]), id);
}

// Draws a triangle whose box holds few pixels.
__device__ void draw_tiny(const Triangle& triangle, const Canvas& canvas, Key* image,
                          std::int32_t id) {
  EdgeFunctions<std::int32_t> edges;
  if (!triangle.edges(edges)) return;
  const PixelBox& box = triangle.box;
  const std::int32_t columns = box.x1 - box.x0 + 1, rows = box.y1 - box.y0 + 1;
  Key* pixels = image + std::int64_t(box.y0) * canvas.width + box.x0;
#pragma unroll 1
  for (std::int32_t row = 0; row < rows; ++row) {
#pragma unroll 1
    for (std::int32_t column = 0; column < columns; ++column) {
      offer_pixel(edges, column, row, pixels + column, id);
    }
    pixels += canvas.width;
  }
}

// One thread a triangle: most hold no pixel centre and end at their box.
__global__ void __launch_bounds__(kBlock) draw_kernel(Mesh mesh, Canvas canvas, Queue queue) {
  const std::int64_t stride = std::int64_t(gridDim.x) * kBlock;
  for (std::int64_t n = blockIdx.y; n < mesh.batch; n += gridDim.y) {
    // A warp's lanes stay together, also past the end: they append to the queue together.
    std::int64_t item = std::int64_t(blockIdx.x) * kBlock + threadIdx.x;
    for (; item - threadIdx.x % 32 < mesh.triangle_count; item += stride) {
      bool for_warp = false, for_block = false;
      if (item < mesh.triangle_count) {
        const std::int32_t id = static_cast<std::int32_t>(item);
        const Triangle triangle(mesh, canvas, n, id);
        if (!triangle.box.empty()) {
          const bool small = is_small(triangle.corner[0], triangle.corner[1], triangle.corner[2]);
          for_block = !small || triangle.box.area() > kWarpPixels;
          for_warp = !for_block && triangle.box.area() > kThreadPixels;
          if (!for_block && !for_warp) draw_tiny(triangle, canvas, canvas.image(n), id);
        }
      }
      queue.push_to_warps(for_warp, n * mesh.triangle_count + item);
      queue.push_to_blocks(for_block, n * mesh.triangle_count + item);
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

// One warp a triangle of middling size.
__global__ void __launch_bounds__(kBlock, 4)
    draw_by_warps_kernel(Mesh mesh, Canvas canvas, Queue queue) {
  const std::int32_t lane = threadIdx.x % 32;
  const std::int32_t lane_x = lane % kWarpWidth, lane_y = lane / kWarpWidth;
  const std::int64_t warps = std::int64_t(gridDim.x) * (kBlock / 32);
  const std::int64_t count = queue.warp_items();
  for (std::int64_t i = (std::int64_t(blockIdx.x) * kBlock + threadIdx.x) / 32; i < count;
       i += warps) {
    const std::int64_t n = queue.items[i] / mesh.triangle_count;
    const std::int32_t id = static_cast<std::int32_t>(queue.items[i] % mesh.triangle_count);
    const Triangle triangle(mesh, canvas, n, id);
    EdgeFunctions<std::int32_t> edges;
    if (!triangle.edges(edges)) continue;
    const PixelBox& box = triangle.box;
    Key* pixels = canvas.image(n) + std::int64_t(box.y0) * canvas.width + box.x0;
    for (std::int32_t row = lane_y; row <= box.y1 - box.y0; row += kWarpHeight) {
      for (std::int32_t column = lane_x; column <= box.x1 - box.x0; column += kWarpWidth) {
        offer_pixel(edges, column, row, pixels + std::int64_t(row) * canvas.width + column, id);
      }
    }
  }
}

// Few large triangles are shared by many blocks each, tile by tile; many get a block each.
__global__ void draw_by_blocks_kernel(Mesh mesh, Canvas canvas, Queue queue) {
  const std::int32_t tile_x = threadIdx.x % kTileWidth, tile_y = threadIdx.x / kTileWidth;
  const std::int64_t count = queue.block_items();
  if (count == 0) return;
  const std::int32_t shares =
      count < gridDim.x ? static_cast<std::int32_t>(gridDim.x / static_cast<unsigned>(count)) : 1;
  const std::int64_t teams = gridDim.x / shares;
  for (std::int64_t i = blockIdx.x / shares; i < count; i += teams) {
    const std::int64_t item = queue.items[queue.capacity - 1 - i];
    const std::int64_t n = item / mesh.triangle_count;
    const std::int32_t id = static_cast<std::int32_t>(item % mesh.triangle_count);
    const Triangle triangle(mesh, canvas, n, id);
    EdgeFunctions<std::int64_t> edges;
    if (!triangle.edges(edges)) continue;
    const PixelBox& box = triangle.box;
    Key* pixels = canvas.image(n) + std::int64_t(box.y0) * canvas.width + box.x0;
    const std::int32_t columns = (box.x1 - box.x0) / kTileWidth + 1;
    const std::int32_t rows = (box.y1 - box.y0) / kTileHeight + 1;
    for (std::int64_t tile = blockIdx.x % shares; tile < std::int64_t(columns) * rows;
         tile += shares) {
      const std::int32_t column = static_cast<std::int32_t>(tile % columns) * kTileWidth;
      const std::int32_t row = static_cast<std::int32_t>(tile / columns) * kTileHeight;
      if (tile_is_outside(edges, column, row)) continue;
      const std::int32_t x = column + tile_x, y = row + tile_y;
      if (x > box.x1 - box.x0 || y > box.y1 - box.y0) continue;
      offer_pixel(edges, x, y, pixels + std::int64_t(y) * canvas.width + x, id);
    }
  }
}

// One thread a pixel, in tiles, where neighbours see the same vertices.
__global__ void resolve_kernel(Mesh mesh, Canvas canvas, std::int32_t* triangle_ids,
                               float* barycentrics, float* depth) {
  const std::int64_t x = std::int64_t(blockIdx.x) * kTileWidth + threadIdx.x % kTileWidth;
  const std::int64_t first_y = std::int64_t(blockIdx.y) * kTileHeight + threadIdx.x / kTileWidth;
  if (x >= canvas.width) return;
  for (std::int64_t n = blockIdx.z; n < mesh.batch; n += gridDim.z) {
    for (std::int64_t y = first_y; y < canvas.height; y += gridDim.y * kTileHeight) {
      const std::int64_t i = (n * canvas.height + y) * canvas.width + x;
      const Key key = canvas.keys[i];
      float weights[2] = {0, 0}, z = __int_as_float(kInfinityBits);
      const std::int32_t id = key == kEmpty ? -1 : static_cast<std::int32_t>(key);
      if (id >= 0) {
        resolve_pixel(mesh.vertices + n * mesh.vertex_count * 3,
                      mesh.triangles + 3 * std::int64_t(id), x, y, weights, &z);
      }
      triangle_ids[i] = id;
      barycentrics[2 * i] = weights[0];
      barycentrics[2 * i + 1] = weights[1];
      depth[i] = z;
    }
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
    const Pixel at = pixel_at(i, height, width);
    const std::int64_t first = at.image * mesh.vertex_count * 3;
    const float* vertices = mesh.vertices + first;
    const std::int32_t* triangle = mesh.triangles + 3 * std::int64_t(id);
    const float* unused[3];
    if (!triangle_vertices(vertices, triangle, mesh.vertex_count, unused)) return;
    resolve_pixel_backward(vertices, triangle, at.column, at.row,
                           grad_barycentrics ? grad_barycentrics + 2 * i : nullptr,
                           grad_depth ? grad_depth + i : nullptr,
                           [&](std::int64_t k, float term) { add(first + k, term); });
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
  const Mesh mesh{vertices, triangles, batch, vertex_count,
                  static_cast<std::int32_t>(triangle_count)};
  const Canvas canvas{reinterpret_cast<Key*>(workspace), static_cast<std::int32_t>(height),
                      static_cast<std::int32_t>(width)};
  const Queue queue{canvas.keys + pixels, workspace + pixels + 2, batch * triangle_count};
  check_cuda(cudaMemsetAsync(canvas.keys, 0xff, (pixels + 2) * sizeof(Key), stream), "rasterize");
  const auto grid_along = [](std::int64_t items) {
    return static_cast<unsigned>(std::min<std::int64_t>(items, kMaxGrid));
  };
  if (triangle_count > 0) {
    draw_kernel<<<dim3(grid_for(triangle_count), grid_along(batch)), kBlock, 0, stream>>>(
        mesh, canvas, queue);
    draw_by_warps_kernel<<<kQueueBlocks, kBlock, 0, stream>>>(mesh, canvas, queue);
    draw_by_blocks_kernel<<<kQueueBlocks, kBlock, 0, stream>>>(mesh, canvas, queue);
  }
  const dim3 tiles(static_cast<unsigned>((width + kTileWidth - 1) / kTileWidth),
                   grid_along((height + kTileHeight - 1) / kTileHeight), grid_along(batch));
  resolve_kernel<<<tiles, kBlock, 0, stream>>>(mesh, canvas, triangle_ids, barycentrics, depth);
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
      grad_barycentrics,
      grad_depth,
      {vertices, triangles, batch, vertex_count, static_cast<std::int32_t>(triangle_count)},
      triangle_ids,
      height,
      width};
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
