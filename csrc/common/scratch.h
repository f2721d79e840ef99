// Memory that a thread keeps from call to call: on fresh memory, a kernel that takes a millisecond
// spends a fifth of it in page faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace pgnface {

// Use as thread_local. At least `size` elements, not set; valid until the next call.
template <typename T>
class Scratch {
 public:
  T* reserve(std::int64_t size) {
    if (size > size_) {
      size_ = 0;  // should the new memory not be had
      data_.reset();
      data_.reset(new T[static_cast<std::size_t>(size)]);
      size_ = size;
    }
    return data_.get();
  }

 private:
  std::unique_ptr<T[]> data_;
  std::int64_t size_ = 0;
};

}  // namespace pgnface
