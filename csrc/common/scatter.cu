#include "common/scatter.cuh"

namespace pgnface {

__global__ void from_fixed_point_kernel(std::int64_t items, std::int64_t size, float* target,
                                        const unsigned long long* sums, const unsigned* largest) {
  if (*largest == 0) return;
  const bool finite = *largest < kInfinityBits;
  const int shift = finite ? fixed_point_shift(*largest, items) : 0;
  PGNFACE_GRID_LOOP(i, size) {
    const double sum = static_cast<double>(static_cast<long long>(sums[i]));
    target[i] = finite ? static_cast<float>(ldexp(sum, -shift)) : __int_as_float(0x7fc00000);
  }
}

}  // namespace pgnface
