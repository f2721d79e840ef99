// The pybind11 module pgnface._C: every kernel under the name <kernel>_<cpu|cuda>_<f32|f64>.
// A pointer's argument is a tensor, or None for null; the last argument is a Context.
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "census_distance/census_distance.h"
#include "closest_point/closest_point.h"
#include "common/context.h"
#include "edge_gradient/edge_gradient.h"
#include "evaluate_morphable/evaluate_morphable.h"
#include "interpolate/interpolate.h"
#include "rasterize/rasterize.h"
#include "sample_colors/sample_colors.h"
#include "solve_pose/solve_pose.h"
#include "vertex_normals/vertex_normals.h"
#include "vertex_visibility/vertex_visibility.h"

namespace py = pybind11;

namespace pgnface {
namespace {

// Where the values of a tensor lie. Asked for here, because a loop in Python takes longer than the
// kernel of a small problem.
struct Address {
  void* pointer = nullptr;
};

}  // namespace
}  // namespace pgnface

template <>
struct py::detail::type_caster<pgnface::Address> {
  PYBIND11_TYPE_CASTER(pgnface::Address, const_name("torch.Tensor | None"));

  bool load(handle tensor, bool) {
    if (tensor.is_none()) return true;
    static PyObject* const name = PyUnicode_InternFromString("data_ptr");
    const auto address = reinterpret_steal<object>(PyObject_CallMethodNoArgs(tensor.ptr(), name));
    if (address) value.pointer = PyLong_AsVoidPtr(address.ptr());
    if (PyErr_Occurred()) throw error_already_set();
    return true;
  }
};

namespace pgnface {
namespace {

// What Python passes for a kernel argument: tensors for pointers, everything else as it is.
template <typename A>
using Argument = std::conditional_t<std::is_pointer_v<A>, Address, A>;

template <typename A>
A convert(const Argument<A>& value) {
  if constexpr (std::is_pointer_v<A>) {
    return static_cast<A>(value.pointer);
  } else {
    return value;
  }
}

template <typename... A>
void bind(py::module_& module, const std::string& name, void (*kernel)(A...)) {
  module.def(name.c_str(), [kernel](Argument<std::decay_t<A>>... arguments) {
    py::gil_scoped_release release;
    kernel(convert<std::decay_t<A>>(arguments)...);
  });
}

}  // namespace

#define PGNFACE_BIND_CPU(kernel)                          \
  bind(module, #kernel "_cpu_f32", &kernel##_cpu<float>); \
  bind(module, #kernel "_cpu_f64", &kernel##_cpu<double>);

// Kernels that read a basis of the precision they compute in, or one of 16-bit integers.
#define PGNFACE_BIND_BASIS_CPU(kernel)                                        \
  bind(module, #kernel "_cpu_f32", &kernel##_cpu<float, float>);              \
  bind(module, #kernel "_cpu_f64", &kernel##_cpu<double, double>);            \
  bind(module, #kernel "_int16_cpu_f32", &kernel##_cpu<float, std::int16_t>); \
  bind(module, #kernel "_int16_cpu_f64", &kernel##_cpu<double, std::int16_t>);

#ifdef PGNFACE_WITH_CUDA
#define PGNFACE_BIND_BASIS(kernel)                                 \
  PGNFACE_BIND_BASIS_CPU(kernel)                                   \
  bind(module, #kernel "_cuda_f32", &kernel##_cuda<float, float>); \
  bind(module, #kernel "_int16_cuda_f32", &kernel##_cuda<float, std::int16_t>);
#define PGNFACE_BIND(kernel) \
  PGNFACE_BIND_CPU(kernel)   \
  bind(module, #kernel "_cuda_f32", &kernel##_cuda<float>);
#else
#define PGNFACE_BIND_BASIS(kernel) PGNFACE_BIND_BASIS_CPU(kernel)
#define PGNFACE_BIND(kernel) PGNFACE_BIND_CPU(kernel)
#endif

PYBIND11_MODULE(_C, module) {
  module.doc() = "Kernels of pgnface. Call them through pgnface.ops, which checks every argument.";
#ifdef PGNFACE_WITH_CUDA
  module.attr("has_cuda") = true;
#else
  module.attr("has_cuda") = false;
#endif

  py::class_<Context>(module, "Context")
      .def(py::init([](int threads, int device, std::uintptr_t stream) {
             return Context{threads, device, stream};
           }),
           py::arg("threads") = 1, py::arg("device") = -1, py::arg("stream") = 0);

  PGNFACE_BIND(census_distance_forward)
  PGNFACE_BIND(census_distance_backward)
  PGNFACE_BIND(closest_point_forward)
  PGNFACE_BIND(closest_point_backward)
  PGNFACE_BIND(edge_gradient_backward)
  PGNFACE_BIND_BASIS(evaluate_morphable_forward)
  PGNFACE_BIND_BASIS(evaluate_morphable_backward)
  PGNFACE_BIND(interpolate_forward)
  PGNFACE_BIND(interpolate_backward)
  PGNFACE_BIND(rasterize_forward)
  PGNFACE_BIND(rasterize_backward)
  PGNFACE_BIND(sample_colors_forward)
  PGNFACE_BIND(sample_colors_backward)
  PGNFACE_BIND(solve_pose_forward)
  PGNFACE_BIND(solve_pose_backward)
  PGNFACE_BIND(triangle_discs)
  PGNFACE_BIND(triangle_codes)
  PGNFACE_BIND(vertex_normals_forward)
  PGNFACE_BIND(vertex_normals_backward)
  PGNFACE_BIND(vertex_visibility)
}

}  // namespace pgnface
