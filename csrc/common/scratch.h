// Memory that a thread keeps from call to call: on fresh memory, a kernel that takes a millisecond
// spends a fifth of it in page faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace pgnface {

// Use as thread_local. At least `size` elements, not set, from the start of a cache line on; valid
// until the next call.
template <typename T>
class Scratch {
  static_assert(std::is_trivial_v<T>);

 public:
  T* reserve(std::int64_t size) {
    const std::size_t lines = (size * sizeof(T) + sizeof(Line) - 1) / sizeof(Line);
    if (lines > size_) {
      size_ = 0;  // should the new memory not be had
      lines_.reset();
      lines_.reset(new Line[lines]);
      size_ = lines;
    }
    return reinterpret_cast<T*>(lines_.get());
  }

 private:
  struct alignas(64) Line {
    unsigned char bytes[64];
  };
  std::unique_ptr<Line[]> lines_;
  std::size_t size_ = 0;
};

}  // namespace pgnface
