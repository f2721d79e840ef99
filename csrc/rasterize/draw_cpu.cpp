#include "rasterize/draw_cpu.h"

#include <algorithm>
#include <cstring>

#include "common/simd.h"

namespace pgnface {
namespace {

constexpr int kLanes = 64;   // triangles at a time
constexpr int kVector = 16;  // loops run over multiples of it

// Corners of up to kLanes triangles.
struct Corners {
  alignas(64) std::int32_t x[3][kLanes];
  alignas(64) std::int32_t y[3][kLanes];
  alignas(64) float z[3][kLanes];

  PGNFACE_HD FixedVertex at(int corner, int lane) const {
    return {x[corner][lane], y[corner][lane], z[corner][lane]};
  }

  // The corners of four triangles: 4x4 blocks are transposed.
  PGNFACE_HD void set(int lane, const FixedVertex* vertices,
                      const std::int32_t* const triangle[4]) {
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) {
#if __has_builtin(__builtin_shufflevector)
      using Four = std::int32_t __attribute__((vector_size(16)));
      Four v[4];
      PGNFACE_UNROLL
      for (int i = 0; i < 4; ++i) std::memcpy(&v[i], vertices + triangle[i][k], sizeof(Four));
      const Four xy01 = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5);
      const Four xy23 = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
      const Four z01 = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
      const Four z23 = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
      const Four x4 = __builtin_shufflevector(xy01, xy23, 0, 1, 4, 5);
      const Four y4 = __builtin_shufflevector(xy01, xy23, 2, 3, 6, 7);
      const Four z4 = __builtin_shufflevector(z01, z23, 0, 1, 4, 5);
      std::memcpy(x[k] + lane, &x4, sizeof(Four));
      std::memcpy(y[k] + lane, &y4, sizeof(Four));
      std::memcpy(z[k] + lane, &z4, sizeof(Four));
#else
      for (int i = 0; i < 4; ++i) {
        const FixedVertex& vertex = vertices[triangle[i][k]];
        x[k][lane + i] = vertex.x;
        y[k][lane + i] = vertex.y;
        z[k][lane + i] = vertex.z;
      }
#endif
    }
  }
};

int round_up(int count) { return (count + kVector - 1) / kVector * kVector; }

// Edge functions of up to kLanes triangles at the first pixel of their boxes.
struct TinyEdges {
  alignas(64) std::int32_t value[3][kLanes];
  alignas(64) std::int32_t step_x[3][kLanes];
  alignas(64) std::int32_t step_y[3][kLanes];
  alignas(64) std::int32_t bias1[kLanes], bias2[kLanes];
  alignas(64) float z0[kLanes], dz1[kLanes], dz2[kLanes];
  alignas(64) std::int32_t row[kLanes], column[kLanes];  // of the first pixel, in the band

  PGNFACE_HD void set(int i, const Corners& corners, const Band& band) {
    const FixedVertex a = corners.at(0, i), b = corners.at(1, i), c = corners.at(2, i);
    const PixelBox box = pixel_box(a, b, c, band.width, 0, band.height);
    EdgeFunctions<std::int32_t> edges;
    const bool drawn = edges.set(a, b, c, box);
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) {
      value[k][i] = drawn ? edges.value[k] : -1;
      step_x[k][i] = drawn ? edges.step_x[k] : 0;
      step_y[k][i] = drawn ? edges.step_y[k] : 0;
    }
    bias1[i] = edges.bias[1];
    bias2[i] = edges.bias[2];
    z0[i] = edges.z0;
    dz1[i] = edges.dz1;
    dz2[i] = edges.dz2;
    row[i] = box.y0 - band.row_begin;
    column[i] = box.x0;
  }
};

// Draws triangles whose boxes have the same size, of at most 4x4 pixels, pixel by pixel.
PGNFACE_CLONES void draw_tiny(const FixedVertex* vertices, const std::int32_t* triangles,
                              const std::int32_t* ids, int count, std::int32_t rows,
                              std::int32_t columns, const Band& band) {
  Corners corners;
  TinyEdges edges;
  alignas(64) std::int32_t id[kLanes];
  const int lanes = round_up(count);
  for (int i = 0; i < lanes; ++i) id[i] = ids[std::min(i, count - 1)];
  for (int i = 0; i < lanes; i += 4) {
    const std::int32_t* four[4];
    PGNFACE_UNROLL
    for (int j = 0; j < 4; ++j) four[j] = triangles + 3 * std::int64_t(id[i + j]);
    corners.set(i, vertices, four);
  }
  const Band local = band;
#pragma omp simd
  for (int i = 0; i < lanes; ++i) edges.set(i, corners, local);

  alignas(64) Key key[kLanes];
  alignas(64) std::int32_t pixel[kLanes];
  const std::uint32_t band_rows = local.row_end - local.row_begin;
  for (std::int32_t row = 0; row < rows; ++row) {
    for (std::int32_t column = 0; column < columns; ++column) {
#pragma omp simd
      for (int i = 0; i < lanes; ++i) {
        std::int32_t e[3];
        PGNFACE_UNROLL
        for (int k = 0; k < 3; ++k) {
          e[k] = edges.value[k][i] + column * edges.step_x[k][i] + row * edges.step_y[k][i];
        }
        const float depth =
            (edges.z0[i] + static_cast<float>(e[1] - edges.bias1[i]) * edges.dz1[i]) +
            static_cast<float>(e[2] - edges.bias2[i]) * edges.dz2[i];
        const std::int32_t y = edges.row[i] + row;
        const bool in_band = static_cast<std::uint32_t>(y) < band_rows;
        const bool covered = in_band & ((e[0] | e[1] | e[2]) >= 0);
        key[i] = covered ? depth_key(depth, id[i]) : kEmpty;
        pixel[i] = in_band ? y * local.width + edges.column[i] + column : 0;
      }
      for (int i = 0; i < count; ++i) {
        Key& nearest = local.keys[pixel[i]];
        nearest = key[i] < nearest ? key[i] : nearest;
      }
    }
  }
}

// Draws one triangle with 32-bit edge functions row by row.
PGNFACE_CLONES void draw_small(const FixedVertex& a, const FixedVertex& b, const FixedVertex& c,
                               std::int32_t id, const Band& band) {
  const PixelBox box = pixel_box(a, b, c, band.width, band.row_begin, band.row_end);
  EdgeFunctions<std::int32_t> edges;
  if (!edges.set(a, b, c, box)) return;
  constexpr int kWidth = 8;
  std::int32_t offset[3][kWidth];
  PGNFACE_UNROLL
  for (int k = 0; k < 3; ++k) {
    for (int i = 0; i < kWidth; ++i) offset[k][i] = edges.value[k] + i * edges.step_x[k];
  }
  for (std::int32_t y = box.y0; y <= box.y1; ++y) {
    Key* keys = band.keys + std::int64_t(y - band.row_begin) * band.width + box.x0;
    std::int32_t row[3];
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) row[k] = (y - box.y0) * edges.step_y[k];
    for (std::int32_t x = 0; x <= box.x1 - box.x0; x += kWidth) {
#pragma omp simd
      for (int i = 0; i < kWidth; ++i) {
        const std::int32_t e0 = row[0] + offset[0][i], e1 = row[1] + offset[1][i],
                           e2 = row[2] + offset[2][i];
        const Key key = (e0 | e1 | e2) >= 0 && x + i <= box.x1 - box.x0
                            ? depth_key(edges.depth(e1, e2), id)
                            : kEmpty;
        keys[x + i] = key < keys[x + i] ? key : keys[x + i];
      }
      PGNFACE_UNROLL
      for (int k = 0; k < 3; ++k) row[k] += kWidth * edges.step_x[k];
    }
  }
}

// Offers one triangle's depth to columns [first, last] of a row, where it is known to cover them.
// Number is double where it holds all edge functions exactly, which vectorises, else int64.
template <typename Number>
PGNFACE_HD void offer_span(const EdgeFunctions<std::int64_t>& edges, std::int64_t value1,
                           std::int64_t value2, std::int64_t count, std::int32_t id, Key* keys) {
  const Number e1 = static_cast<Number>(value1 - edges.bias[1]);
  const Number e2 = static_cast<Number>(value2 - edges.bias[2]);
  const Number step1 = static_cast<Number>(edges.step_x[1]);
  const Number step2 = static_cast<Number>(edges.step_x[2]);
  const float z0 = edges.z0, dz1 = edges.dz1, dz2 = edges.dz2;
#pragma omp simd
  for (std::int64_t x = 0; x < count; ++x) {
    const Number column = static_cast<Number>(static_cast<std::int32_t>(x));
    const float depth = (z0 + static_cast<float>(e1 + column * step1) * dz1) +
                        static_cast<float>(e2 + column * step2) * dz2;
    const Key key = depth_key(depth, id);
    keys[x] = key < keys[x] ? key : keys[x];
  }
}

// Draws one triangle of any size. Its box is mostly empty where it is wide: the covered columns of
// each row are found by division.
PGNFACE_CLONES void draw_large(const FixedVertex& a, const FixedVertex& b, const FixedVertex& c,
                               std::int32_t id, const Band& band) {
  const PixelBox box = pixel_box(a, b, c, band.width, band.row_begin, band.row_end);
  EdgeFunctions<std::int64_t> edges;
  if (!edges.set(a, b, c, box)) return;
  // Below 2^26 units of width and height, edge functions stay below 2^53.
  const auto near = [](std::int32_t p, std::int32_t q, std::int32_t r) {
    return greatest(p, greatest(q, r)) - least(p, least(q, r)) < 1 << 26;
  };
  const bool exact_in_double = near(a.x, b.x, c.x) && near(a.y, b.y, c.y);
  for (std::int32_t y = box.y0; y <= box.y1; ++y) {
    std::int64_t row[3], first = 0, last = box.x1 - box.x0;
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) {
      row[k] = edges.value[k] + (y - box.y0) * edges.step_y[k];
      const std::int64_t step = edges.step_x[k];
      if (step > 0) {
        if (row[k] < 0) first = std::max(first, (-row[k] + step - 1) / step);
      } else if (row[k] < 0) {
        last = -1;
      } else if (step < 0) {
        last = std::min(last, row[k] / -step);
      }
    }
    if (first > last) continue;
    const std::int64_t e1 = row[1] + first * edges.step_x[1];
    const std::int64_t e2 = row[2] + first * edges.step_x[2];
    Key* keys = band.keys + std::int64_t(y - band.row_begin) * band.width + box.x0 + first;
    if (exact_in_double) {
      offer_span<double>(edges, e1, e2, last - first + 1, id, keys);
    } else {
      offer_span<std::int64_t>(edges, e1, e2, last - first + 1, id, keys);
    }
  }
}

// Extents of up to kLanes triangles.
struct TinyExtents {
  alignas(64) std::int32_t first[kLanes];
  alignas(64) std::int32_t last_and_kind[kLanes];

  PGNFACE_HD void set(int i, const Corners& corners, std::int32_t width, std::int32_t height) {
    const FixedVertex a = corners.at(0, i), b = corners.at(1, i), c = corners.at(2, i);
    const PixelBox box = pixel_box(a, b, c, width, 0, height);
    const std::int32_t columns = box.x1 - box.x0, rows = box.y1 - box.y0;
    const std::int32_t tiny = rows * kTinySide + columns;
    std::int32_t kind = (columns < kTinySide) & (rows < kTinySide) ? tiny : kSmall;
    kind = is_small(a, b, c) ? kind : kLarge;
    first[i] = box.empty() ? kNowhere : box.y0;
    last_and_kind[i] = box.y1 * kKinds + kind;
  }
};

// Triangles that wait, by kind, until there are enough to be drawn together.
class Queues {
 public:
  Queues(const FixedVertex* vertices, const std::int32_t* triangles, const Band& band)
      : vertices_(vertices), triangles_(triangles), band_(band) {}

  void push(std::int32_t id, std::int32_t kind) {
    ids_[kind][count_[kind]] = id;
    if (++count_[kind] == kLanes) flush(kind);
  }

  void flush_all() {
    for (std::int32_t kind = 0; kind <= kLarge; ++kind) {
      if (count_[kind] > 0) flush(kind);
    }
  }

 private:
  void flush(std::int32_t kind) {
    if (kind < kSmall) {
      draw_tiny(vertices_, triangles_, ids_[kind], count_[kind], kind / kTinySide + 1,
                kind % kTinySide + 1, band_);
    } else {
      for (int i = 0; i < count_[kind]; ++i) {
        const std::int32_t id = ids_[kind][i];
        const std::int32_t* triangle = triangles_ + 3 * std::int64_t(id);
        (kind == kSmall ? draw_small : draw_large)(vertices_[triangle[0]], vertices_[triangle[1]],
                                                   vertices_[triangle[2]], id, band_);
      }
    }
    count_[kind] = 0;
  }

  const FixedVertex* vertices_;
  const std::int32_t* triangles_;
  const Band& band_;
  int count_[kLarge + 1] = {};
  std::int32_t ids_[kLarge + 1][kLanes];
};

}  // namespace

PGNFACE_CLONES void find_extents(const FixedVertex* vertices, const std::int32_t* triangles,
                                 std::int64_t begin, std::int64_t end, std::int32_t width,
                                 std::int32_t height, Extent* extents) {
  Corners corners;
  for (std::int64_t t = begin; t < end; t += kLanes) {
    const int count = static_cast<int>(std::min<std::int64_t>(end - t, kLanes));
    for (int i = 0; i < count; i += 4) {
      const std::int32_t* four[4];
      PGNFACE_UNROLL
      for (int j = 0; j < 4; ++j) four[j] = triangles + 3 * (t + std::min(i + j, count - 1));
      corners.set(i, vertices, four);
    }
    const int lanes = round_up(count);
    TinyExtents found;
#pragma omp simd
    for (int i = 0; i < lanes; ++i) found.set(i, corners, width, height);
    for (int i = 0; i < count; ++i) extents[t + i] = {found.first[i], found.last_and_kind[i]};
  }
}

void draw_band(const FixedVertex* vertices, const std::int32_t* triangles, const Extent* extents,
               std::int64_t triangle_count, const Band& band) {
  constexpr std::int64_t kChunk = 256;
  Queues queues(vertices, triangles, band);
  for (std::int64_t begin = 0; begin < triangle_count; begin += kChunk) {
    const std::int64_t end = std::min(begin + kChunk, triangle_count);
    std::int32_t kept[kChunk];
    int count = 0;
    for (std::int64_t t = begin; t < end; ++t) {
      kept[count] = static_cast<std::int32_t>(t);
      count +=
          extents[t].first < band.row_end && extents[t].last_and_kind >= band.row_begin * kKinds;
    }
    for (int i = 0; i < count; ++i) {
      queues.push(kept[i], extents[kept[i]].last_and_kind & (kKinds - 1));
    }
  }
  queues.flush_all();
}

}  // namespace pgnface
