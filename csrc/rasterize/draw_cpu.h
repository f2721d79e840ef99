// Drawing triangles into the keys of pixels on the CPU.
//
// Most triangles of a face mesh cover less than a pixel, so most work is per triangle. It is done
// for many triangles at a time: their vertices are copied into arrays lane by lane, since scalar
// loads are as fast as gathers and are there on every processor, and loops over lanes vectorise.
// Keys order by depth, then id, so triangles may be drawn in any order.
#pragma once

#include <cstdint>

#include "rasterize/coverage.h"

namespace pgnface {

// The part of one image that is drawn at a time: all columns of rows [row_begin, row_end).
struct Band {
  std::int32_t width, height;  // of the image
  std::int32_t row_begin, row_end;
  Key* keys;  // (rows, width), and kKeyPadding more that may be read and written back
};
constexpr std::int64_t kKeyPadding = 8;

// Rows of pixels in a triangle's box, and the way to draw it.
struct Extent {
  std::int32_t first;          // kNowhere where it covers nothing
  std::int32_t last_and_kind;  // last row * kKinds + kind
};
constexpr std::int32_t kNowhere = INT32_MAX;

// Boxes of up to 4x4 pixels have a kind for each size, (rows - 1) * 4 + columns - 1.
constexpr int kTinySide = 4;
constexpr std::int32_t kSmall = kTinySide * kTinySide, kLarge = kSmall + 1, kKinds = 32;

// Triangles that are skipped together where a band holds none of them.
constexpr std::int64_t kTriangleBlock = 64;

// Extents of triangles [begin, end) in an image, and what holds those of each block. `begin` is a
// multiple of kTriangleBlock.
void find_extents(const FixedVertex* vertices, const std::int32_t* triangles, std::int64_t begin,
                  std::int64_t end, std::int32_t width, std::int32_t height, Extent* extents,
                  Extent* groups);

// Lowers the keys of a band to those of the triangles.
void draw_band(const FixedVertex* vertices, const std::int32_t* triangles, const Extent* extents,
               const Extent* groups, std::int64_t triangle_count, const Band& band);

}  // namespace pgnface
