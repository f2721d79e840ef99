"""Errors of head poses (Ruiz et al., *Fine-Grained Head Pose Estimation Without Keypoints*, CVPRW
2018, for the protocol).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pgnface.geometry import angles_from_rotation, rotation_distance

#: Samples with an annotated angle beyond this (degrees) are left out of pose errors, as published.
MAX_ANGLE = 99.0


class PoseErrors(NamedTuple):
    """Head-pose errors of ``N`` samples in degrees.

    Attributes:
        angles: ``(N, 3)`` absolute errors of pitch, yaw and roll, at most 180.
        geodesic: ``(N,)`` angle of the rotation between prediction and truth.
    """

    angles: Tensor
    geodesic: Tensor


def pose_errors(predicted: Tensor, true: Tensor) -> PoseErrors:
    """Errors of rotations ``(N, 3, 3)``, sample by sample.

    Args:
        predicted, true: rotations, ``pgnface.geometry`` convention.

    Raises:
        ValueError: for wrong shapes.
    """
    if predicted.shape != true.shape or predicted.shape[1:] != (3, 3):
        raise ValueError(
            f"predicted and true must have shape (N, 3, 3), got {tuple(predicted.shape)} and "
            f"{tuple(true.shape)}"
        )
    predicted, true = predicted.double().cpu(), true.double().cpu()
    difference = angles_from_rotation(predicted) - angles_from_rotation(true)
    wrapped = torch.remainder(difference + 180, 360) - 180
    return PoseErrors(wrapped.abs(), rotation_distance(predicted, true))


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


def mean_pose_error(
    predicted: Tensor,
    true: Tensor,
    angles: Tensor | None = None,
    max_angle: float = MAX_ANGLE,
) -> PoseError:
    """Mean errors of rotations ``(N, 3, 3)``.

    The frontal poses of two face models differ by a constant rotation. Remove it beforehand
    (``network.annotated_rotation(pose)``) to measure the pose rather than that convention.

    Args:
        predicted, true: rotations, ``pgnface.geometry`` convention.
        angles: the annotation's own (pitch, yaw, roll) ``(N, 3)`` in degrees, from which samples
            beyond ``max_angle`` are left out (annotations hold impossible angles that a rotation
            wraps away); default: the angles of ``true``.
        max_angle: that limit, in degrees.

    Raises:
        ValueError: for wrong shapes.
    """
    errors = pose_errors(predicted, true)
    limited = angles_from_rotation(true.double().cpu()) if angles is None else angles.cpu()
    kept = (limited.abs() <= max_angle).all(-1)
    pitch, yaw, roll = errors.angles[kept].mean(0).tolist()
    return PoseError(
        pitch=pitch,
        yaw=yaw,
        roll=roll,
        mean=(pitch + yaw + roll) / 3,
        geodesic=float(errors.geodesic[kept].mean()),
        count=int(kept.sum()),
        excluded=int((~kept).sum()),
    )
