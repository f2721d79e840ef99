"""Registration of the kernels with ``torch.library`` and the call into the extension.

Everything that all ops share about torch lives here, so that an op's module holds its contract
alone: the schema, the checks, the fake kernel and the backward formula.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pgnface import _C

_LIBRARY = torch.library.Library("pgnface", "DEF")
_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}


def register(
    schema: str,
    implementation: Callable,
    fake: Callable,
    backward: Callable | None = None,
    setup_context: Callable | None = None,
) -> Callable:
    """Register one op and return a callable that takes its arguments by position.

    Where nothing but autograd watches, the callable runs the kernel without a way through torch's
    dispatcher, which costs several times the kernel of a small problem. Under ``torch.compile``, a
    mode, a transform, a trace or the profiler it calls the registered op.

    Args:
        schema: ``"name(Tensor a, ...) -> Tensor"``, without the namespace.
        implementation: runs on the CPU and on CUDA; calls :func:`launch`.
        fake: output shapes from input shapes, for ``torch.compile`` and meta tensors.
        backward, setup_context: as in :func:`torch.library.register_autograd`. An op without them
            raises when a gradient through it is asked for, rather than returning none.
    """
    name = schema.split("(", 1)[0]
    _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(name, implementation, "CPU")
    _LIBRARY.impl(name, implementation, "CUDA")
    torch.library.register_fake(f"pgnface::{name}", fake, lib=_LIBRARY)
    if backward is None:

        def backward(ctx, *grads):
            raise RuntimeError(f"pgnface::{name} has no derivative")

    torch.library.register_autograd(
        f"pgnface::{name}", backward, setup_context=setup_context, lib=_LIBRARY
    )
    op = getattr(torch.ops.pgnface, name).default

    def forward(ctx, *arguments):
        output = implementation(*arguments)
        if setup_context is not None:
            setup_context(ctx=ctx, inputs=arguments, output=output)
        return output

    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    differentiable = type(name, (torch.autograd.Function,), methods).apply

    def call(*arguments):
        if torch.compiler.is_compiling() or _is_watched():
            return op(*arguments)
        for argument in arguments:
            if isinstance(argument, Tensor) and not _is_plain(argument):
                return op(*arguments)
        if needs_gradient(*arguments):
            return differentiable(*arguments)
        return implementation(*arguments)

    return call


def needs_gradient(*arguments) -> bool:
    """Whether autograd records a call with these arguments."""
    if torch.is_grad_enabled():
        for argument in arguments:
            if isinstance(argument, Tensor) and argument.requires_grad:
                return True
    return False


def runs_as_it_is(*tensors: Tensor | None) -> bool:
    """Whether a kernel may run on the tensors with nothing to prepare, to record or to dispatch.

    So they are plain, contiguous, of one kernel dtype and on one device, and only their shapes are
    left to be checked. An op may ask this first: with one look at each tensor it saves a small
    problem half of its time.
    """
    if torch.compiler.is_compiling() or _is_watched():
        return False
    first, recording = tensors[0], torch.is_grad_enabled()
    if not _is_plain(first) or first.dtype not in _SUFFIX:
        return False
    for tensor in tensors:
        if tensor is not None and not (
            (tensor is first or (_is_plain(tensor) and tensor.dtype is first.dtype))
            and tensor.is_contiguous()
            and (tensor.is_cpu if first.is_cpu else tensor.device == first.device)
            and not (recording and tensor.requires_grad)
        ):
            return False
    return True


def _is_watched() -> bool:
    """Whether something besides autograd must see a call: a mode, a transform, a trace, a profile.

    Parts of torch without a public question. A version that lacks one gets the dispatcher always.
    """
    try:
        return (
            torch._C._len_torch_dispatch_stack() > 0
            or torch._C._len_torch_function_stack() > 0
            or torch._C._are_functorch_transforms_active()
            or torch._C._get_tracing_state() is not None
            or torch.autograd.forward_ad._current_level >= 0
            or torch.autograd._profiler_enabled()
        )
    except AttributeError:
        return True


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is its own memory: no subclass, no meta tensor, no lazy zero or negation."""
    return (
        (type(tensor) is Tensor or type(tensor) is torch.nn.Parameter)
        and (tensor.is_cpu or tensor.is_cuda)
        and tensor.layout is torch.strided
        and not tensor._is_zerotensor()
        and not tensor.is_neg()
    )


def launch(kernel: str, *arguments: Tensor | int | float | None) -> None:
    """Run a kernel of the extension on the device of its tensors.

    Tensors are passed by address and must be contiguous, on one device, and outlive the call (for
    CUDA: in stream order, which torch's allocator guarantees). ``None`` becomes a null pointer.
    The first floating-point tensor picks the precision.

    Raises:
        RuntimeError: for a CUDA tensor when the extension was built without CUDA, or a failed
            launch.
        TypeError: when no kernel exists for the tensors' device and dtype.
    """
    for first in arguments:
        if isinstance(first, Tensor) and first.is_floating_point():
            break
    key = kernel, backend_of(first), first.dtype
    function = _KERNELS.get(key)
    if function is None:
        function = _KERNELS[key] = _find_kernel(*key)
    function(*arguments, _context(first))


_KERNELS: dict[tuple[str, str, torch.dtype], Callable] = {}
_CPU_CONTEXTS: dict[int, _C.Context] = {}  # by the number of threads


def _find_kernel(kernel: str, backend: str, dtype: torch.dtype) -> Callable:
    if backend == "cuda" and not _C.has_cuda:
        raise RuntimeError(
            f"{kernel}: got CUDA tensors, but pgnface was built without CUDA; "
            "reinstall it with nvcc on the PATH (PGNFACE_CUDA=ON makes that a requirement)"
        )
    function = getattr(_C, f"{kernel}_{backend}_{_SUFFIX.get(dtype)}", None)
    if function is None:
        raise TypeError(f"{kernel}: no kernel for {dtype} on {backend}")
    return function


def backend_of(tensor: Tensor) -> str:
    """Which kernels take a tensor: ``"cpu"`` or ``"cuda"``."""
    return "cpu" if tensor.is_cpu else tensor.device.type


def _context(tensor: Tensor) -> _C.Context:
    if tensor.is_cpu:
        threads = torch.get_num_threads()
        context = _CPU_CONTEXTS.get(threads)
        if context is None:
            context = _CPU_CONTEXTS[threads] = _C.Context(threads=threads)
        return context
    return _C.Context(
        device=tensor.device.index,
        stream=torch.cuda.current_stream(tensor.device).cuda_stream,
    )


def scatter_workspace(target: Tensor) -> Tensor | None:
    """What a CUDA kernel needs to add into ``target`` in the deterministic mode, else ``None``.

    Floating-point sums depend on the order of their terms; sums of integers do not. The kernels
    then add in fixed point: one int64 a value, and one for the largest term.
    """
    if not (backend_of(target) == "cuda" and torch.are_deterministic_algorithms_enabled()):
        return None
    return target.new_empty(target.numel() + 1, dtype=torch.int64)
