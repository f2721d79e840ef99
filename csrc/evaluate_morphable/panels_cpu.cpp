#include "evaluate_morphable/panels_cpu.h"

#include <type_traits>
#include <utility>

#include "common/simd.h"

// Lanes of two vectors by their numbers, those of b after those of a.
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
#define PGNFACE_SUMS 12
#include "evaluate_morphable/panels.inc"

#ifdef __x86_64__
#define PGNFACE_ISA fma
#define PGNFACE_TARGET __attribute__((target("avx2,fma")))
#define PGNFACE_BYTES 32
#define PGNFACE_SUMS 12
#include "evaluate_morphable/panels.inc"

#define PGNFACE_ISA avx512
#define PGNFACE_TARGET __attribute__((target("avx512f")))
#define PGNFACE_BYTES 64
#define PGNFACE_SUMS 24
#include "evaluate_morphable/panels.inc"
#endif

#define PGNFACE_PANELS(isa)                                                      \
  Panels<T> {                                                                    \
    isa::add_products<T, 1>, isa::add_products<T, kPanel<T>>, isa::transpose<T>, \
        isa::pose_panel<T>, isa::subtract_translations<T>, isa::unpose_panel<T>  \
  }

template <typename T>
Panels<T> choose() {
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return PGNFACE_PANELS(avx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return PGNFACE_PANELS(fma);
#endif
  return PGNFACE_PANELS(baseline);
}

}  // namespace

template <typename T>
const Panels<T>& panels() {
  static const Panels<T> chosen = choose<T>();
  return chosen;
}

template const Panels<float>& panels<float>();
template const Panels<double>& panels<double>();

}  // namespace pgnface
