// Loops over channels that unroll.
#pragma once

#include <cstdint>
#include <type_traits>

namespace pgnface {

// Calls body with an integral_constant: the number of channels where it is a common one (masks,
// colours, colours with normals and positions), else 0. Kernels take it as a template argument.
template <typename Body>
void with_channels(std::int64_t channels, const Body& body) {
  if (channels == 1) return body(std::integral_constant<int, 1>{});
  if (channels == 3) return body(std::integral_constant<int, 3>{});
  if (channels == 9) return body(std::integral_constant<int, 9>{});
  body(std::integral_constant<int, 0>{});
}

}  // namespace pgnface
