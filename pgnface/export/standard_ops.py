"""The kernels that a network uses, written in operators that every runtime knows.

Each function has the arguments and results of a registered op (``pgnface::...``), so that it can
stand in for it in an exported graph. They hold no constant tensors, which the replacement could not
carry along. Their precision is that of their input.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

_SQUARINGS = 14
_TINY = 1e-15  # far below any covariance of points; its square is still a float32


def evaluate_morphable(
    mean: Tensor,
    basis: Tensor,
    coefficients: Tensor,
    scale: Tensor | None = None,
    rotation: Tensor | None = None,
    translation: Tensor | None = None,
) -> Tensor:
    """:func:`pgnface.ops.evaluate_morphable` as products of matrices; no quantized basis."""
    shape = torch.addmm(mean.flatten(), coefficients, basis.flatten(1)).unflatten(1, (-1, 3))
    if scale is None:
        return shape
    linear = (scale[:, None, None] * rotation).transpose(1, 2)
    return shape @ linear + translation[:, None]


def sample_colors(image: Tensor, points: Tensor) -> Tensor:
    """:func:`pgnface.ops.sample_colors` by ``grid_sample``, for finite points."""
    height, width = image.shape[2:]
    grid = torch.stack((points[..., 0] * (2 / width) - 1, points[..., 1] * (2 / height) - 1), -1)
    sampled = F.grid_sample(image, grid[:, :, None], padding_mode="border", align_corners=False)
    return sampled[..., 0].transpose(1, 2)


def solve_pose(
    source: Tensor, target: Tensor, weights: Tensor | None = None, differentiable: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """:func:`pgnface.ops.solve_pose` without a singular value decomposition.

    The quaternion of the best rotation is the eigenvector of the largest eigenvalue of a symmetric
    4 x 4 matrix N made of the covariance (Horn, JOSA A 1987). Squaring ``N + |N| I`` again and
    again, its trace kept at 1, leaves the projector ``q q^T``, of whose entries the rotation is a
    linear function: neither an eigensolver nor a choice of branch is needed, and a mirrored target
    gives the best proper rotation.

    Limits, which the kernel does not have: where the two largest eigenvalues of N differ by less
    than about a thousandth of |N| (collinear points, or a mirrored target whose two smallest
    extents are equal), the result is a mean of rotations rather than one; points of weight zero
    must be finite. Coinciding points give a finite result, points without any weight the identity.
    """
    weights = torch.ones_like(source[..., 0]) if weights is None else weights.clamp(min=0)
    weights = (weights / weights.sum(1, keepdim=True).clamp(min=_TINY))[..., None]
    source_mean, target_mean = (weights * source).sum(1), (weights * target).sum(1)
    centered = source - source_mean[:, None]
    weighted = weights * centered
    covariance = (target - target_mean[:, None]).transpose(1, 2) @ weighted
    rotation = _nearest_rotation(covariance)
    variance = (weighted * centered).sum((1, 2))
    aligned = (rotation * covariance).sum((1, 2))
    scale = torch.where(variance > 0, aligned / variance.clamp(min=_TINY), 1.0)
    translation = target_mean - scale[:, None] * (rotation @ source_mean[..., None])[..., 0]
    fitted = scale[:, None, None] * (source @ rotation.transpose(1, 2)) + translation[:, None]
    residual = (weights * (target - fitted).square()).sum((1, 2)).sqrt()
    state = source.new_empty(0, 25, dtype=torch.float64)  # of the gradient, which is not exported
    return scale, rotation, translation, residual, state


def _nearest_rotation(covariance: Tensor) -> Tensor:
    """The rotations R that maximise ``trace(R^T C)`` for matrices C ``(N, 3, 3)``."""
    trace = _trace(covariance)
    twist = covariance - covariance.transpose(1, 2)
    axis = torch.stack((twist[:, 2, 1], twist[:, 0, 2], twist[:, 1, 0]), 1)[:, None]
    identity = torch.eye(3, dtype=covariance.dtype, device=covariance.device)
    block = covariance + covariance.transpose(1, 2) - trace * identity
    # What is added to the corner decides for the identity where there is no covariance.
    horn = torch.cat(
        (torch.cat((trace + _TINY, axis), 2), torch.cat((axis.transpose(1, 2), block), 2)), 1
    )
    shift = horn.square().sum((1, 2), keepdim=True).sqrt()
    power = horn / shift + torch.eye(4, dtype=horn.dtype, device=horn.device)
    for _ in range(_SQUARINGS):
        power = power @ power
        power = power / _trace(power)
    vector, block = power[:, :1, 1:], power[:, 1:, 1:]
    cross = torch.linalg.cross(identity.expand_as(block), vector.expand_as(block))
    return (power[:, :1, :1] - _trace(block)) * identity + 2 * (block + cross)


def _trace(matrices: Tensor) -> Tensor:
    """``(N, 1, 1)`` of ``(N, K, K)``."""
    return matrices.flatten(1)[:, :: matrices.shape[-1] + 1].sum(1)[:, None, None]


def prelu(x: Tensor, weight: Tensor) -> Tensor:
    """PReLU by ReLUs: torch's own decomposition selects by a condition, which ONNX Runtime does
    one value at a time.
    """
    weight = weight.reshape(-1, *(1,) * (x.dim() - 2))
    return F.relu(x) - weight * F.relu(-x)


def replacements() -> dict[torch._ops.OpOverload, Callable]:
    """Ops and what stands in for them, as a decomposition table."""
    import pgnface.ops  # noqa: F401  registers them

    functions = (evaluate_morphable, sample_colors, solve_pose)
    table = {getattr(torch.ops.pgnface, f.__name__).default: f for f in functions}
    return {**table, torch.ops.aten.prelu.default: prelu}
