"""Argument checks shared by the ops: an error names the argument, what was expected, what came."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

_AXES: dict[str, list[int | str]] = {}  # by the shape they were read from


def require_shape(op: str, name: str, tensor: Tensor, shape: str, **sizes: int) -> None:
    """Check a tensor against a shape such as ``"N, V, 3"``.

    A letter stands for any size, or for the size given for it in ``sizes``; a number for itself.

    Raises:
        TypeError: when it is no tensor.
        ValueError: when the shape differs.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{op}: {name} must be a tensor, got {type(tensor).__name__}")
    axes = _AXES.get(shape)
    if axes is None:
        axes = [int(axis) if axis.isdigit() else axis for axis in shape.split(", ")]
        if not torch.compiler.is_compiling():
            _AXES[shape] = axes
    matches = tensor.dim() == len(axes)
    if matches:
        for axis, size in zip(axes, tensor.shape, strict=True):
            if size != (sizes.get(axis, size) if isinstance(axis, str) else axis):
                matches = False
    if not matches:
        known = ", ".join(f"{k}={v}" for k, v in sizes.items() if k in axes)
        where = f" with {known}" if known else ""
        raise ValueError(
            f"{op}: {name} must have shape ({shape}){where}, got {tuple(tensor.shape)}"
        )


def prepare(op: str, **tensors: Tensor | None) -> list[Tensor | None]:
    """Bring floating-point arguments to one device, one kernel dtype and contiguous memory.

    Half precision (as autocast hands it out) is promoted to float32; float64 stays. All must lie
    on one device, the kernels' dtype must be the same for all.

    Raises:
        TypeError: for an integer, complex or sparse tensor, or a mix of float32 and float64.
        ValueError: for tensors on different devices, or on a device without kernels.
    """
    if _are_ready(tensors.values()):
        return list(tensors.values())
    given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    first_name, first = next(iter(given.items()))
    if first.device.type not in ("cpu", "cuda", "meta"):
        raise ValueError(f"{op}: {first_name} is on {first.device}; kernels exist for cpu and cuda")
    result: dict[str, Tensor] = {}
    for name, tensor in given.items():
        if not tensor.is_floating_point():
            raise TypeError(f"{op}: {name} must be floating point, got {tensor.dtype}")
        if tensor.device != first.device:
            raise ValueError(
                f"{op}: {name} is on {tensor.device}, but {first_name} is on {first.device}"
            )
        if tensor.layout is not torch.strided:
            raise TypeError(f"{op}: {name} must be a dense tensor, got {tensor.layout}")
        if _is_without_memory(tensor):
            tensor = torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)
        if tensor.dtype in (torch.float16, torch.bfloat16):
            tensor = tensor.float()
        result[name] = tensor.contiguous()
    dtypes = {name: tensor.dtype for name, tensor in result.items()}
    if len(set(dtypes.values())) > 1:
        raise TypeError(f"{op}: arguments must share one dtype, got {dtypes}")
    return [result.get(name) for name in tensors]


def _is_without_memory(tensor: Tensor) -> bool:
    """Whether it is one of autograd's zeros, which a kernel cannot read; none are compiled."""
    return not torch.compiler.is_compiling() and tensor._is_zerotensor()


def _are_ready(tensors: Iterable[Tensor | None]) -> bool:
    """Whether :func:`prepare` has nothing to do: the usual case, and a short way for it."""
    first, compiling = None, torch.compiler.is_compiling()
    for tensor in tensors:
        if tensor is None:
            continue
        if first is None:
            first, dtype, on_cpu = tensor, tensor.dtype, tensor.is_cpu
            if not (on_cpu or tensor.is_cuda):
                return False
            if dtype is not torch.float32 and dtype is not torch.float64:
                return False
        elif (
            tensor.dtype is not dtype
            or tensor.is_cpu != on_cpu
            or (not on_cpu and tensor.device != first.device)
        ):
            return False
        if tensor.layout is not torch.strided or not tensor.is_contiguous():
            return False
        if not compiling and tensor._is_zerotensor():
            return False
    return first is not None


def prepare_triangles(op: str, triangles: Tensor, like: Tensor) -> Tensor:
    """Triangles as contiguous int32 (T, 3) on the device of ``like``.

    Raises:
        TypeError: when they are not integers.
        ValueError: for a wrong shape or device. Indices are checked by the kernels' callers where
            a mesh is made (:class:`pgnface.ops.Adjacency`, ``MorphableModel``), because a check
            here would make the GPU wait.
    """
    require_shape(op, "triangles", triangles, "T, 3")
    if triangles.is_floating_point() or triangles.dtype == torch.bool:
        raise TypeError(f"{op}: triangles must be integers, got {triangles.dtype}")
    if triangles.device != like.device:
        raise ValueError(f"{op}: triangles are on {triangles.device}, expected {like.device}")
    return triangles.to(torch.int32).contiguous()
