#include "evaluate_morphable/products_cpu.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "common/simd.h"

#ifdef __clang__
#define PGNFACE_LANES(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PGNFACE_LANES(a, b, ...) __builtin_shuffle(a, b, Mask{__VA_ARGS__})
#endif

namespace pgnface {
namespace {

#define PGNFACE_ISA baseline
#define PGNFACE_TARGET
#define PGNFACE_BYTES 16
#define PGNFACE_ITEMS 4
#include "evaluate_morphable/strips.inc"

#ifdef __x86_64__
#define PGNFACE_ISA fma
#define PGNFACE_TARGET __attribute__((target("avx2,fma")))
#define PGNFACE_BYTES 32
#define PGNFACE_ITEMS 4
#include "evaluate_morphable/strips.inc"

#define PGNFACE_ISA avx512
#define PGNFACE_TARGET __attribute__((target("avx512f")))
#define PGNFACE_BYTES 64
#define PGNFACE_ITEMS 8
#include "evaluate_morphable/strips.inc"
#endif

template <typename T>
struct Products {
  decltype(&baseline::combine<T>) combine = baseline::combine<T>;
  decltype(&baseline::dot<T>) dot = baseline::dot<T>;

  Products() {
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) {
      combine = avx512::combine<T>, dot = avx512::dot<T>;
    } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      combine = fma::combine<T>, dot = fma::dot<T>;
    }
#endif
  }
};

template <typename T>
const Products<T>& products() {
  static const Products<T> chosen;
  return chosen;
}

}  // namespace

template <typename T>
void combine_rows(const T* rows, std::int64_t row, const T* factors, std::int64_t factor_row,
                  std::int64_t factor_step, std::int64_t count, const T* start,
                  std::int64_t start_row, T* out, std::int64_t out_row, std::int64_t outputs,
                  std::int64_t size) {
  products<T>().combine(rows, row, factors, factor_row, factor_step, count, start, start_row, out,
                        out_row, outputs, size);
}

template <typename T>
void dot_rows(const T* vectors, std::int64_t vector_row, std::int64_t items, const T* rows,
              std::int64_t row, std::int64_t count, std::int64_t size, T* sums,
              std::int64_t sums_row) {
  products<T>().dot(vectors, vector_row, items, rows, row, count, size, sums, sums_row);
}

#define PGNFACE_INSTANTIATE(T)                                                                \
  template void combine_rows<T>(const T*, std::int64_t, const T*, std::int64_t, std::int64_t, \
                                std::int64_t, const T*, std::int64_t, T*, std::int64_t,       \
                                std::int64_t, std::int64_t);                                  \
  template void dot_rows<T>(const T*, std::int64_t, std::int64_t, const T*, std::int64_t,     \
                            std::int64_t, std::int64_t, T*, std::int64_t);
PGNFACE_INSTANTIATE(float)
PGNFACE_INSTANTIATE(double)

}  // namespace pgnface
