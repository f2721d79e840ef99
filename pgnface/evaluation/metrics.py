"""The numbers that faces are judged by, each a function of tensors.

Landmark errors follow Zhu et al., *Face Alignment Across Large Poses* (CVPR 2016) and the 3DDFA
evaluation code; pose errors follow Ruiz et al. (CVPRW 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from pgnface.geometry import angles_from_rotation, rotation_distance

#: Samples with an annotated angle beyond this (degrees) are left out of pose errors, as published.
MAX_ANGLE = 99.0


def _require_points(name: str, points: Tensor, dims: tuple[int, ...]) -> None:
    if points.dim() != 3 or points.shape[-1] not in dims:
        allowed = " or ".join(f"(N, K, {d})" for d in dims)
        raise ValueError(f"{name} must have shape {allowed}, got {tuple(points.shape)}")


def nme(
    predicted: Tensor, target: Tensor, normaliser: Literal["box", "interocular"] = "box"
) -> Tensor:
    """Normalised mean error of landmarks, ``(N,)`` in percent.

    Args:
        predicted, target: ``(N, K, 2)``, or ``(N, K, 3)`` in image space. In three dimensions the
            mean of z is removed from both, because depth under weak perspective is known up to a
            constant only.
        normaliser: ``"box"``: sqrt(width * height) of the true landmarks' tight 2D box (the
            AFLW2000-3D protocol); ``"interocular"``: 2D distance of the outer eye corners
            (landmarks 36 and 45; 68 points).

    Raises:
        ValueError: when the shapes differ or are not those above, or for an unknown normaliser.
    """
    _require_points("predicted", predicted, (2, 3))
    if predicted.shape != target.shape:
        raise ValueError(
            f"predicted and target must have one shape, got {tuple(predicted.shape)} and "
            f"{tuple(target.shape)}"
        )
    if normaliser == "box":
        size = (target[..., :2].amax(1) - target[..., :2].amin(1)).prod(-1).sqrt()
    elif normaliser == "interocular":
        size = (target[:, 36, :2] - target[:, 45, :2]).norm(dim=-1)
    else:
        raise ValueError(f"normaliser must be 'box' or 'interocular', got {normaliser!r}")
    difference = predicted - target
    if target.shape[-1] == 3:
        z = difference[..., 2:]
        difference = torch.cat((difference[..., :2], z - z.mean(1, keepdim=True)), -1)
    return 100 * difference.norm(dim=-1).mean(-1) / size


@dataclass(frozen=True)
class BinnedError:
    """Mean error by bins of |yaw|.

    Attributes:
        bins: names such as ``"0-30"``.
        counts: samples in each bin.
        means: mean error of each bin; NaN where a bin is empty.
        mean, std: unweighted mean and population standard deviation over the bins with samples.
        overall: mean over the samples.
    """

    bins: tuple[str, ...]
    counts: tuple[int, ...]
    means: tuple[float, ...]
    mean: float
    std: float
    overall: float


def check_bins(edges: Sequence[float]) -> list[float]:
    """Edges of bins as numbers.

    Raises:
        ValueError: unless they are at least two that increase from 0.
    """
    edges = [float(edge) for edge in edges]
    if len(edges) < 2 or edges[0] != 0 or any(a >= b for a, b in pairwise(edges)):
        raise ValueError(
            f"bins must be edges that increase from 0, such as 0 30 60 90; got {edges}"
        )
    return edges


def error_by_yaw(errors: Tensor, yaw: Tensor, edges: Sequence[float] = (0, 30, 60, 90)):
    """Errors ``(N,)`` by bins of |yaw| ``(N,)`` in degrees.

    A bin holds its upper edge and not its lower one (the first holds both), and the last bin also
    what lies beyond the last edge, as in the published evaluation code: every sample is in a bin.

    Returns:
        :class:`BinnedError`.

    Raises:
        ValueError: for different sizes, or edges that do not increase from 0.
    """
    if errors.shape != yaw.shape or errors.dim() != 1:
        raise ValueError(
            f"errors and yaw must have shape (N,), got {tuple(errors.shape)}, {tuple(yaw.shape)}"
        )
    edges = check_bins(edges)
    inner = torch.tensor(edges[1:-1], dtype=torch.float64)
    index = torch.bucketize(yaw.abs().double().cpu(), inner)
    errors = errors.double().cpu()
    groups = [errors[index == i] for i in range(len(edges) - 1)]
    means = [float(group.mean()) if len(group) else float("nan") for group in groups]
    filled = torch.tensor([float(g.mean()) for g in groups if len(g)], dtype=torch.float64)
    return BinnedError(
        bins=tuple(f"{a:g}-{b:g}" for a, b in pairwise(edges)),
        counts=tuple(map(len, groups)),
        means=tuple(means),
        mean=float(filled.mean()),
        std=float(filled.std(correction=0)) if len(filled) else float("nan"),
        overall=float(errors.mean()),
    )


@dataclass(frozen=True)
class PoseError:
    """Mean absolute head-pose errors in degrees over ``count`` samples.

    Attributes:
        pitch, yaw, roll: errors of the Euler angles; ``mean`` is the mean of the three.
        geodesic: mean angle of the rotation between prediction and truth.
        count, excluded: samples measured, and left out for an annotated angle beyond the limit.
    """

    pitch: float
    yaw: float
    roll: float
    mean: float
    geodesic: float
    count: int
    excluded: int


def pose_error(
    predicted: Tensor,
    target: Tensor,
    angles: Tensor | None = None,
    max_angle: float = MAX_ANGLE,
) -> PoseError:
    """Errors of rotations ``(N, 3, 3)``.

    The frontal poses of two face models differ by a constant rotation. Remove it beforehand
    (``network.annotated_rotation(pose)``) to measure the pose rather than that convention.

    Args:
        predicted, target: rotations, ``pgnface.geometry`` convention.
        angles: the annotation's own (pitch, yaw, roll) ``(N, 3)`` in degrees, from which samples
            beyond ``max_angle`` are left out (annotations hold impossible angles that a rotation
            wraps away); default: the angles of ``target``.
        max_angle: that limit, in degrees.

    Raises:
        ValueError: for wrong shapes.
    """
    if predicted.shape != target.shape or predicted.shape[1:] != (3, 3):
        raise ValueError(
            f"predicted and target must have shape (N, 3, 3), got {tuple(predicted.shape)} and "
            f"{tuple(target.shape)}"
        )
    predicted, target = predicted.double().cpu(), target.double().cpu()
    true_angles = angles_from_rotation(target)
    limited = true_angles if angles is None else angles.cpu()
    kept = (limited.abs() <= max_angle).all(-1)
    difference = angles_from_rotation(predicted) - true_angles
    wrapped = torch.remainder(difference + 180, 360) - 180
    pitch, yaw, roll = wrapped[kept].abs().mean(0).tolist()
    return PoseError(
        pitch=pitch,
        yaw=yaw,
        roll=roll,
        mean=(pitch + yaw + roll) / 3,
        geodesic=float(rotation_distance(predicted[kept], target[kept]).mean()),
        count=int(kept.sum()),
        excluded=int((~kept).sum()),
    )


def shape_error(predicted: Tensor, target: Tensor, scale: bool = False) -> Tensor:
    """Mean vertex distance ``(N,)`` of shapes after the best rigid alignment, in their units (mm).

    Args:
        predicted, target: model-space vertices ``(N, V, 3)`` in correspondence.
        scale: align by a similarity instead, for methods without metric scale.

    Raises:
        ValueError: for wrong or different shapes.
    """
    from pgnface.ops import solve_pose

    _require_points("predicted", predicted, (3,))
    if predicted.shape != target.shape:
        raise ValueError(
            f"predicted and target must have one shape, got {tuple(predicted.shape)} and "
            f"{tuple(target.shape)}"
        )
    source_mean, target_mean = predicted.mean(1, keepdim=True), target.mean(1, keepdim=True)
    source, aligned_to = predicted - source_mean, target - target_mean
    fit = solve_pose(source, aligned_to)
    aligned = source @ fit.rotation.transpose(-1, -2)
    if scale:
        aligned = aligned * fit.scale[:, None, None]
    return (aligned - aligned_to).norm(dim=-1).mean(-1)


def cumulative_error(
    errors: Tensor, limit: float = 10.0, steps: int = 200
) -> tuple[Tensor, Tensor]:
    """Cumulative error distribution: thresholds and the fraction of samples at or below each.

    Args:
        errors: ``(N,)``.
        limit: largest threshold, in the unit of the errors.
        steps: number of intervals.

    Returns:
        thresholds and fractions, both ``(steps + 1,)``. The mean of the fractions is the
        normalised area under the curve.
    """
    thresholds = torch.linspace(0, limit, steps + 1, dtype=torch.float64)
    ordered = errors.double().cpu().sort().values
    count = torch.searchsorted(ordered, thresholds, right=True)
    return thresholds, count / max(len(ordered), 1)
