// Asking for memory before it is needed. The kernels that read a mesh through the pixels of an
// image wait for memory more than they compute: ids, then triangles, then vertices, each a place
// that the processor cannot guess.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pgnface {

enum class Access { read, write };

template <Access kAccess = Access::read>
inline void prefetch(const void* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, kAccess == Access::write);
#else
  (void)address;
#endif
}

// The cache lines of [begin, end).
template <Access kAccess = Access::read, typename T>
void prefetch_range(const T* begin, const T* end) {
  for (const T* address = begin; address < end; address += 64 / sizeof(T)) {
    prefetch<kAccess>(address);
  }
}

// Prefetches for pixel i of [.., end), some way ahead of it: streams(begin, end) what lies pixel by
// pixel; rows(triangle) what belongs to the vertices of a triangle that is seen.
template <typename Streams, typename Rows>
inline void prefetch_ahead(std::int64_t i, std::int64_t end, const std::int32_t* triangle_ids,
                           const std::int32_t* triangles, std::int64_t triangle_count,
                           const Streams& streams, const Rows& rows) {
  if (i + 32 >= end) return;
  if (i % 16 == 0) {
    prefetch(triangle_ids + std::min(i + 128, end));
    streams(std::min(i + 96, end), std::min(i + 112, end));
  }
  prefetch(triangles + 3 * std::int64_t(std::max(triangle_ids[i + 32], 0)));
  const std::int32_t id = triangle_ids[i + 16];
  if (id >= 0 && id < triangle_count) rows(triangles + 3 * std::int64_t(id));
}

}  // namespace pgnface
