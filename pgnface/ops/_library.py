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
    """Register one op and return its callable.

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
    return getattr(torch.ops.pgnface, name).default


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
    first = next(a for a in arguments if isinstance(a, Tensor) and a.is_floating_point())
    backend = backend_of(first)
    if backend == "cuda" and not _C.has_cuda:
        raise RuntimeError(
            f"{kernel}: got CUDA tensors, but pgnface was built without CUDA; "
            "reinstall it with nvcc on the PATH (PGNFACE_CUDA=ON makes that a requirement)"
        )
    function = getattr(_C, f"{kernel}_{backend}_{_SUFFIX.get(first.dtype)}", None)
    if function is None:
        raise TypeError(f"{kernel}: no kernel for {first.dtype} on {first.device.type}")
    addresses = [
        a.data_ptr() if isinstance(a, Tensor) else 0 if a is None else a for a in arguments
    ]
    function(*addresses, _context(first.device))


def backend_of(tensor: Tensor) -> str:
    """Which kernels take a tensor: ``"cpu"`` or ``"cuda"``."""
    return tensor.device.type


def _context(device: torch.device) -> _C.Context:
    if device.type == "cpu":
        return _C.Context(threads=torch.get_num_threads())
    return _C.Context(
        device=device.index,
        stream=torch.cuda.current_stream(device).cuda_stream,
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )


def scatter_workspace(target: Tensor) -> Tensor | None:
    """What a CUDA kernel needs to add into ``target`` in the deterministic mode, else ``None``.

    Floating-point sums depend on the order of their terms; sums of integers do not. The kernels
    then add in fixed point: one int64 a value, and one for the largest term.
    """
    if not (backend_of(target) == "cuda" and torch.are_deterministic_algorithms_enabled()):
        return None
    return target.new_empty(target.numel() + 1, dtype=torch.int64)
