"""Vertices of a linear face model (3DMM), posed in the same pass."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._checks import prepare, require_shape
from ._library import backend_of, launch, register

# Sums over vertices are taken in at most this many chunks, each a multiple of the kernels' block of
# vertices, and then added in order: the same bits for any number of threads.
_MOST_CHUNKS = {"cpu": 64, "cuda": 384}
_BLOCK = {"cpu": 256, "cuda": 32}
_POSE_SUMS = 12


class QuantizedBasis(NamedTuple):
    """A basis of P displacement fields in 16-bit fixed point, made by :func:`quantize_basis`.

    Field p is ``steps[p] * values[p]``, to which ``steps[P + i] * values[P + i]`` is added where
    ``repeated[i] == p``: what rounding took from the fields with the largest steps.
    """

    values: Tensor
    """``(Q, V, 3)`` int16, Q >= P."""
    steps: Tensor
    """``(Q,)``, the displacement that 1 stands for."""
    repeated: Tensor
    """``(Q - P,)`` int64 in [0, P)."""

    @property
    def count(self) -> int:
        """P."""
        return self.values.shape[0] - self.repeated.shape[0]

    def dequantize(self) -> Tensor:
        """The basis ``(P, V, 3)`` in the dtype of the steps."""
        fields = self.values * self.steps[:, None, None]
        return fields[: self.count].index_add(0, self.repeated, fields[self.count :])

    def check(self, op: str, device: torch.device) -> None:
        """Raise TypeError or ValueError where the parts do not fit together."""
        for name, dtype in (("values", torch.int16), ("repeated", torch.int64)):
            actual = getattr(self, name).dtype
            if actual != dtype:
                raise TypeError(f"{op}: basis.{name} must be {dtype}, got {actual}")
        require_shape(op, "basis.steps", self.steps, "Q", Q=self.values.shape[0])
        require_shape(op, "basis.repeated", self.repeated, "R")
        for name, tensor in self._asdict().items():
            if tensor.device != device:
                raise ValueError(f"{op}: basis.{name} is on {tensor.device}, but mean on {device}")


def quantize_basis(
    basis: Tensor, reach: float | Tensor = 3.0, error: float = 3e-4
) -> QuantizedBasis:
    """A basis in 16-bit fixed point, for :func:`evaluate_morphable`.

    Each displacement field has a step of its own, its largest magnitude over 32,767. Where that is
    too coarse, what rounding took away is kept as another 16-bit field. (Half precision, with 11
    bits, would be off by ten times as much; see docs/performance.md.)

    Args:
        basis: ``(P, V, 3)``, finite.
        reach: magnitude that coefficients have at most; one number, or ``(P,)``.
        error: the root-mean-square error of a coordinate, in the unit of the basis, that is allowed
            with all coefficients that large; above 0. With coefficients spread evenly below, the
            largest error of 100,000 coordinates is two to three times that: less than 0.001 mm with
            the default and a basis in millimetres.

    Raises:
        TypeError: for a basis that is not floating point.
        ValueError: for a wrong shape, a basis that is not finite or asks for gradients, a negative
            reach, or an error that is not above 0.
    """
    op = "quantize_basis"
    require_shape(op, "basis", basis, "P, V, 3")
    if not basis.is_floating_point():
        raise TypeError(f"{op}: basis must be floating point, got {basis.dtype}")
    if basis.requires_grad:
        raise ValueError(f"{op}: basis asks for gradients, which integers have not; detach it")
    reach = torch.as_tensor(reach, device=basis.device)
    if reach.dim() > 0:
        require_shape(op, "reach", reach, "P", P=len(basis))
    if not bool((reach >= 0).all()):
        raise ValueError(f"{op}: reach must be 0 or more, got {reach.min():g}")
    if not error > 0:
        raise ValueError(f"{op}: error must be above 0, got {error:g}")
    if basis.numel() == 0:
        steps = basis.new_zeros(len(basis))
        return QuantizedBasis(basis.to(torch.int16), steps, steps.new_zeros(0, dtype=torch.int64))
    if basis.dtype in (torch.float16, torch.bfloat16):
        basis = basis.float()  # their own steps would be lost below the smallest half
    if not bool(basis.isfinite().all()):
        raise ValueError(f"{op}: basis must be finite, got NaN or infinity")
    values, steps = _round_fields(basis)
    # Rounding errors are spread evenly over a step: their variance is step ** 2 / 12.
    variances, by_size = ((reach * steps.double()) ** 2 / 12).sort(descending=True)
    left = variances.flip(0).cumsum(0).flip(0)  # when the fields before this one are repeated
    repeated = by_size[: int((left > error**2).sum())]
    rest = basis[repeated] - values[repeated] * steps[repeated, None, None]
    rest_values, rest_steps = _round_fields(rest)
    return QuantizedBasis(
        torch.cat((values, rest_values)), torch.cat((steps, rest_steps)), repeated
    )


def _round_fields(fields: Tensor) -> tuple[Tensor, Tensor]:
    steps = fields.abs().flatten(1).amax(1) / 32767
    steps = torch.where(steps > 0, steps, torch.ones_like(steps))  # a field of zeros
    values = (fields / steps[:, None, None]).round().clamp(-32767, 32767)
    return values.to(torch.int16), steps


def evaluate_morphable(
    mean: Tensor,
    basis: Tensor | QuantizedBasis,
    coefficients: Tensor,
    scale: Tensor | None = None,
    rotation: Tensor | None = None,
    translation: Tensor | None = None,
) -> Tensor:
    """Vertices of a linear shape model, and optionally a similarity applied to them.

    ``shape = mean + sum_p coefficients[p] * basis[p]`` (Blanz and Vetter, SIGGRAPH 1999), and with
    a pose ``scale * rotation @ shape + translation``. One pass: the basis is read once for the
    whole batch and the unposed vertices are never stored.

    Args:
        mean: ``(V, 3)``.
        basis: ``(P, V, 3)``; a basis in standard deviations takes coefficients in them. Or
            what :func:`quantize_basis` makes of it, in half the memory: the time of a small batch
            goes into reading the basis.
        coefficients: ``(N, P)``; P may be 0.
        scale: ``(N,)``, optional: all of the pose or none of it.
        rotation: ``(N, 3, 3)``, any matrix; for image space pass ``Pose.image_rotation``.
        translation: ``(N, 3)``.

    Returns:
        ``(N, V, 3)``.

    Gradients flow to every argument but a quantized basis; those of mean and basis are computed
    only when asked for.

    Raises:
        TypeError: for arguments that are not floating point, or a quantized basis that is not
            int16.
        ValueError: for a wrong shape or a pose given in part.
    """
    op = "evaluate_morphable"
    require_shape(op, "mean", mean, "V, 3")
    quantized = basis if isinstance(basis, QuantizedBasis) else None
    if quantized is not None:
        basis = quantized.values
    require_shape(op, "basis", basis, "P, V, 3", V=mean.shape[0])
    count = basis.shape[0]
    if quantized is not None:
        quantized.check(op, mean.device)
        count = quantized.count
    require_shape(op, "coefficients", coefficients, "N, P", P=count)
    pose = {"scale": scale, "rotation": rotation, "translation": translation}
    missing = [name for name, value in pose.items() if value is None]
    if len(missing) not in (0, 3):
        raise ValueError(f"{op}: scale, rotation and translation go together; missing {missing}")
    if not missing:
        batch = coefficients.shape[0]
        require_shape(op, "scale", scale, "N", N=batch)
        require_shape(op, "rotation", rotation, "N, 3, 3", N=batch)
        require_shape(op, "translation", translation, "N, 3", N=batch)
    arguments = {"coefficients": coefficients, **pose}
    if quantized is None:
        return _forward(*prepare(op, mean=mean, basis=basis, **arguments))
    mean, steps, coefficients, *placement = prepare(
        op, mean=mean, steps=quantized.steps, **arguments
    )
    factors = torch.cat((coefficients, coefficients[:, quantized.repeated]), 1) * steps
    return _forward(mean, basis.contiguous(), factors, *placement)


def _sizes(mean: Tensor, coefficients: Tensor) -> tuple[int, int, int]:
    return coefficients.shape[0], mean.shape[0], coefficients.shape[1]


def _variant(basis: Tensor) -> str:
    return "_int16" if basis.dtype == torch.int16 else ""


def _forward_kernel(mean, basis, coefficients, scale=None, rotation=None, translation=None):
    output = mean.new_empty(coefficients.shape[0], *mean.shape)
    launch(
        "evaluate_morphable_forward" + _variant(basis),
        *(mean, basis, coefficients, scale, rotation, translation, output),
        *_sizes(mean, coefficients),
    )
    return output


def _empty_gradients(mean, basis, coefficients, scale, rotation, needs):
    """Gradient tensors; empty ones for what is not asked for."""
    nothing = mean.new_empty
    gradients = [
        torch.zeros_like(mean) if needs[0] else nothing(0),
        torch.zeros_like(basis) if needs[1] else nothing(0),
        torch.empty_like(coefficients) if needs[2] else nothing(0),
    ]
    if scale is None:
        return (*gradients, nothing(0), nothing(0), nothing(0))
    translation = scale.new_empty(scale.shape[0], 3)
    return (*gradients, torch.empty_like(scale), torch.empty_like(rotation), translation)


def _backward_kernel(grad, mean, basis, coefficients, scale, rotation, translation, output, needs):
    gradients = _empty_gradients(mean, basis, coefficients, scale, rotation, needs)
    batch, vertices, count = _sizes(mean, coefficients)
    block, most_chunks = _BLOCK[backend_of(mean)], _MOST_CHUNKS[backend_of(mean)]
    # And in so few that their sums take no more memory than the vertices.
    least = max(1, -(-vertices // most_chunks), (count + _POSE_SUMS) // 3)
    chunk = -(-least // block) * block
    chunks = max(1, -(-vertices // chunk))
    partial = mean.new_empty(chunks, batch, count + _POSE_SUMS)
    asked = (*needs, *(scale is not None,) * 3)
    launch(
        "evaluate_morphable_backward" + _variant(basis),
        *(grad.contiguous(), mean, basis, coefficients, scale, rotation, translation, output),
        *(g if wanted else None for g, wanted in zip(gradients, asked, strict=True)),
        *(partial, batch, vertices, count, chunk),
    )
    return gradients


def _setup(ctx, inputs, output):
    posed = inputs[3] is not None
    ctx.save_for_backward(*inputs, output if posed else None)


def _autograd(ctx, grad):
    needs = ctx.needs_input_grad
    gradients = _backward(grad, *ctx.saved_tensors, list(needs[:3]))
    # torch drops trailing arguments that have their default, so there may be fewer needs.
    return tuple(g if wanted else None for g, wanted in zip(gradients, needs, strict=False))


_backward = register(
    "evaluate_morphable_backward(Tensor grad, Tensor mean, Tensor basis, Tensor coefficients,"
    " Tensor? scale, Tensor? rotation, Tensor? translation, Tensor? output, bool[3] needs)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _backward_kernel,
    lambda grad, mean, basis, coefficients, scale, rotation, translation, output, needs: (
        _empty_gradients(mean, basis, coefficients, scale, rotation, needs)
    ),
)
_forward = register(
    "evaluate_morphable(Tensor mean, Tensor basis, Tensor coefficients, Tensor? scale=None,"
    " Tensor? rotation=None, Tensor? translation=None) -> Tensor",
    _forward_kernel,
    lambda mean, basis, coefficients, scale=None, rotation=None, translation=None: mean.new_empty(
        coefficients.shape[0], *mean.shape
    ),
    _autograd,
    _setup,
)
