"""How steady a prediction is over the frames of a video."""

from __future__ import annotations

import torch
from torch import Tensor

from pgnface.geometry import rotation_distance

from ._points import require_points
from .landmarks import box_size


def landmark_jitter(landmarks: Tensor) -> Tensor:
    """Mean acceleration of landmarks, a scalar in percent of the box per frame squared.

    The mean over points and frames of ``|x[t + 1] - 2 x[t] + x[t - 1]|``, each divided by sqrt(w h)
    of the landmarks' box in frame t: zero for steady motion, larger than the true acceleration of
    the face by what the prediction trembles.

    Args:
        landmarks: of consecutive frames ``(F, K, 2 or 3)`` in image space, F at least 3.

    Raises:
        ValueError: for another shape or fewer frames.
    """
    require_points("landmarks", landmarks, (2, 3))
    _require_frames("landmarks", landmarks)
    acceleration = landmarks[2:] - 2 * landmarks[1:-1] + landmarks[:-2]
    per_frame = acceleration.norm(dim=-1).mean(-1) / box_size(landmarks[1:-1])
    return 100 * per_frame.mean()


def pose_jitter(rotations: Tensor) -> Tensor:
    """Mean angular acceleration of head poses, a scalar in degrees per frame squared.

    The mean angle between the turn from frame t - 1 to t and that from t to t + 1.

    Args:
        rotations: of consecutive frames ``(F, 3, 3)``, F at least 3.

    Raises:
        ValueError: for another shape or fewer frames.
    """
    if rotations.dim() != 3 or rotations.shape[1:] != (3, 3):
        raise ValueError(f"rotations must have shape (F, 3, 3), got {tuple(rotations.shape)}")
    _require_frames("rotations", rotations)
    turns = rotations[1:].double() @ rotations[:-1].double().mT
    return rotation_distance(turns[1:], turns[:-1]).mean()


def coefficient_spread(coefficients: Tensor) -> Tensor:
    """Root mean square deviation of coefficients from their mean over the frames: a scalar in
    standard deviations of the face model, for identities of one person zero at best.

    Args:
        coefficients: ``(F, I)``.

    Raises:
        ValueError: for another shape or no frame.
    """
    if coefficients.dim() != 2 or not len(coefficients):
        raise ValueError(f"coefficients must have shape (F, I), got {tuple(coefficients.shape)}")
    return (coefficients - coefficients.mean(0)).square().mean().sqrt()


def shape_spread(vertices: Tensor) -> Tensor:
    """Mean distance of vertices from their mean place over the frames, a scalar in their unit (mm).

    Args:
        vertices: neutral faces of one person in model space ``(F, V, 3)``.

    Raises:
        ValueError: for another shape.
    """
    require_points("vertices", vertices, (3,))
    return (vertices - vertices.mean(0)).norm(dim=-1).mean()


def _require_frames(name: str, values: Tensor) -> None:
    if len(values) < 3:
        raise ValueError(f"{name}: expected at least 3 consecutive frames, got {len(values)}")
    if not torch.isfinite(values).all():
        raise ValueError(f"{name} must be finite")
