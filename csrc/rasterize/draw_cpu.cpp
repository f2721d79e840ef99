#include "rasterize/draw_cpu.h"

#include <algorithm>
#include <cstring>

#include "common/simd.h"

namespace pgnface {
namespace {

constexpr int kVector = 16;  // loops run over multiples of it

// Corners of up to kTriangleBlock triangles.
struct Corners {
  alignas(64) std::int32_t x[3][kTriangleBlock];
  alignas(64) std::int32_t y[3][kTriangleBlock];
  alignas(64) float z[3][kTriangleBlock];

  PGNFACE_HD FixedVertex at(int corner, int lane) const {
    return {x[corner][lane], y[corner][lane], z[corner][lane]};
  }

  // The corners of four triangles: 4x4 blocks are transposed.
  template <bool kWithDepth>
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
      if (kWithDepth) std::memcpy(z[k] + lane, &z4, sizeof(Four));
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

// Edge functions of up to kTriangleBlock triangles at the first pixel of their boxes.
struct StagedEdges {
  alignas(64) std::int32_t id[kTriangleBlock];
  alignas(64) std::int32_t value[3][kTriangleBlock];
  alignas(64) std::int32_t step_x[3][kTriangleBlock];
  alignas(64) std::int32_t step_y[3][kTriangleBlock];
  alignas(64) std::int32_t bias1[kTriangleBlock], bias2[kTriangleBlock];
  alignas(64) float z0[kTriangleBlock], dz1[kTriangleBlock], dz2[kTriangleBlock];
  alignas(64) std::int32_t row[kTriangleBlock],
      column[kTriangleBlock];  // of the first pixel, in the band
  alignas(64) std::int32_t rows[kTriangleBlock], columns[kTriangleBlock];

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
    rows[i] = drawn ? box.y1 - box.y0 + 1 : 0;
    columns[i] = box.x1 - box.x0 + 1;
  }

  // The triangles of a list, of which there is at least one. Returns the lanes in use.
  PGNFACE_HD int stage(const FixedVertex* vertices, const std::int32_t* triangles,
                       const std::int32_t* ids, int count, const Band& band) {
    const int lanes = round_up(count, kVector);
    for (int i = 0; i < lanes; ++i) id[i] = ids[std::min(i, count - 1)];
    Corners corners;
    for (int i = 0; i < lanes; i += 4) {
      const std::int32_t* four[4];
      PGNFACE_UNROLL
      for (int j = 0; j < 4; ++j) four[j] = triangles + 3 * std::int64_t(id[i + j]);
      corners.set<true>(i, vertices, four);
    }
#pragma omp simd
    for (int i = 0; i < lanes; ++i) set(i, corners, band);
    return lanes;
  }
};

// Draws triangles whose boxes have the same size, of at most 4x4 pixels, pixel by pixel.
PGNFACE_CLONES void draw_tiny(const FixedVertex* vertices, const std::int32_t* triangles,
                              const std::int32_t* ids, int count, std::int32_t rows,
                              std::int32_t columns, const Band& shared_band) {
  const Band band = shared_band;  // so that the compiler knows that nobody changes it
  StagedEdges edges;
  const int lanes = edges.stage(vertices, triangles, ids, count, band);
  alignas(64) Key key[kTriangleBlock];
  alignas(64) std::int32_t pixel[kTriangleBlock];
  const std::uint32_t band_rows = band.row_end - band.row_begin;
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
        key[i] = covered ? depth_key(depth, edges.id[i]) : kEmpty;
        pixel[i] = in_band ? y * band.width + edges.column[i] + column : 0;
      }
      for (int i = 0; i < count; ++i) {
        Key& nearest = band.keys[pixel[i]];
        nearest = key[i] < nearest ? key[i] : nearest;
      }
    }
  }
}

// Draws triangles of up to 64x64 pixels one by one, 8 pixels of a row at a time.
PGNFACE_CLONES void draw_small(const FixedVertex* vertices, const std::int32_t* triangles,
                               const std::int32_t* ids, int count, const Band& shared_band) {
  constexpr int kWidth = kKeyPadding;
  const Band band = shared_band;
  StagedEdges edges;
  edges.stage(vertices, triangles, ids, count, band);
  for (int i = 0; i < count; ++i) {
    const std::int32_t first = greatest(edges.row[i], 0);
    const std::int32_t last =
        least(edges.row[i] + edges.rows[i], band.row_end - band.row_begin) - 1;
    const std::int32_t columns = edges.columns[i], id = edges.id[i];
    const std::int32_t bias1 = edges.bias1[i], bias2 = edges.bias2[i];
    const float z0 = edges.z0[i], dz1 = edges.dz1[i], dz2 = edges.dz2[i];
    std::int32_t row[3];
    alignas(32) std::int32_t step[3][kWidth];
    PGNFACE_UNROLL
    for (int k = 0; k < 3; ++k) {
      row[k] = edges.value[k][i] + (first - edges.row[i]) * edges.step_y[k][i];
      for (int lane = 0; lane < kWidth; ++lane) step[k][lane] = lane * edges.step_x[k][i];
    }
    for (std::int32_t y = first; y <= last; ++y) {
      Key* keys = band.keys + std::int64_t(y) * band.width + edges.column[i];
      std::int32_t e[3] = {row[0], row[1], row[2]};
      for (std::int32_t x = 0; x < columns; x += kWidth) {
#pragma omp simd
        for (int lane = 0; lane < kWidth; ++lane) {
          const std::int32_t e0 = e[0] + step[0][lane], e1 = e[1] + step[1][lane],
                             e2 = e[2] + step[2][lane];
          const float depth =
              (z0 + static_cast<float>(e1 - bias1) * dz1) + static_cast<float>(e2 - bias2) * dz2;
          const bool covered = ((e0 | e1 | e2) >= 0) & (x + lane < columns);
          const Key key = covered ? depth_key(depth, id) : kEmpty;
          keys[x + lane] = key < keys[x + lane] ? key : keys[x + lane];
        }
        PGNFACE_UNROLL
        for (int k = 0; k < 3; ++k) e[k] += kWidth * edges.step_x[k][i];
      }
      PGNFACE_UNROLL
      for (int k = 0; k < 3; ++k) row[k] += edges.step_y[k][i];
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

// Extents of up to kTriangleBlock triangles.
struct StagedExtents {
  alignas(64) std::int32_t first[kTriangleBlock];
  alignas(64) std::int32_t last_and_kind[kTriangleBlock];

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
    if (++count_[kind] == kTriangleBlock) flush(kind);
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
    } else if (kind == kSmall) {
      draw_small(vertices_, triangles_, ids_[kind], count_[kind], band_);
    } else {
      for (int i = 0; i < count_[kind]; ++i) {
        const std::int32_t id = ids_[kind][i];
        const std::int32_t* triangle = triangles_ + 3 * std::int64_t(id);
        draw_large(vertices_[triangle[0]], vertices_[triangle[1]], vertices_[triangle[2]], id,
                   band_);
      }
    }
    count_[kind] = 0;
  }

  const FixedVertex* vertices_;
  const std::int32_t* triangles_;
  const Band& band_;
  int count_[kLarge + 1] = {};
  std::int32_t ids_[kLarge + 1][kTriangleBlock];
};

}  // namespace

PGNFACE_CLONES void find_extents(const FixedVertex* vertices, const std::int32_t* triangles,
                                 std::int64_t begin, std::int64_t end, std::int32_t width,
                                 std::int32_t height, Extent* extents, Extent* groups) {
  Corners corners{};
  for (std::int64_t t = begin; t < end; t += kTriangleBlock) {
    const int count = static_cast<int>(std::min<std::int64_t>(end - t, kTriangleBlock));
    for (int i = 0; i < count; i += 4) {
      const std::int32_t* four[4];
      PGNFACE_UNROLL
      for (int j = 0; j < 4; ++j) four[j] = triangles + 3 * (t + std::min(i + j, count - 1));
      corners.set<false>(i, vertices, four);
    }
    const int lanes = round_up(count, kVector);
    StagedExtents found;
#pragma omp simd
    for (int i = 0; i < lanes; ++i) found.set(i, corners, width, height);
    std::int32_t first = kNowhere, last_and_kind = 0;
#pragma omp simd reduction(min : first) reduction(max : last_and_kind)
    for (int i = 0; i < count; ++i) {
      extents[t + i] = {found.first[i], found.last_and_kind[i]};
      first = found.first[i] < first ? found.first[i] : first;
      last_and_kind =
          found.last_and_kind[i] > last_and_kind ? found.last_and_kind[i] : last_and_kind;
    }
    groups[t / kTriangleBlock] = {first, last_and_kind};
  }
}

void draw_band(const FixedVertex* vertices, const std::int32_t* triangles, const Extent* extents,
               const Extent* groups, std::int64_t triangle_count, const Band& band) {
  const auto meets = [&](const Extent& extent) {
    return (extent.first < band.row_end) & (extent.last_and_kind >= band.row_begin * kKinds);
  };
  Queues queues(vertices, triangles, band);
  for (std::int64_t begin = 0; begin < triangle_count; begin += kTriangleBlock) {
    if (!meets(groups[begin / kTriangleBlock])) continue;
    const std::int64_t end = std::min(begin + kTriangleBlock, triangle_count);
    std::int32_t kept[kTriangleBlock];
    int count = 0;
    for (std::int64_t t = begin; t < end; ++t) {
      kept[count] = static_cast<std::int32_t>(t);
      count += meets(extents[t]);
    }
    for (int i = 0; i < count; ++i) {
      queues.push(kept[i], extents[kept[i]].last_and_kind & (kKinds - 1));
    }
  }
  queues.flush_all();
}

}  // namespace pgnface
