"""Surfaces for photos of which 68 landmarks are known, good enough to turn the faces."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgnface.fitting import fit_landmarks
from pgnface.geometry import Pose, apply_pose
from pgnface.morphable import MorphableModel

_NOISE = 0.02
"""Standard deviation of annotated landmarks about those of a model, in sides of their box."""

_EXPRESSION_DEVIATION = 0.5


class FittedSurfaces(NamedTuple):
    """What :func:`fit_surfaces` returns.

    Attributes:
        vertices: ``(N, V, 3)`` in image space.
        landmarks: ``(N, 68, 3)`` as given; where they are flat, with the model's depth.
        pose: of the model's heads.
    """

    vertices: Tensor
    landmarks: Tensor
    pose: Pose


def fit_surfaces(model: MorphableModel, landmarks: Tensor) -> FittedSurfaces:
    """The most probable surfaces of a face model for landmarks ``(N, 68, 2|3)`` in image space."""
    extent = landmarks[..., :2].amax(1) - landmarks[..., :2].amin(1)
    fit = fit_landmarks(
        model,
        landmarks,
        noise=_NOISE * extent.amax(1, keepdim=True).expand(-1, landmarks.shape[1]),
        expression_std=_EXPRESSION_DEVIATION,
    )
    vertices = apply_pose(fit.pose, fit.vertices)
    if landmarks.shape[-1] == 2:
        landmarks = torch.cat((landmarks, vertices[:, model.landmarks, 2:]), -1)
    return FittedSurfaces(vertices, landmarks, fit.pose)
