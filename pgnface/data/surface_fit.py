"""Surfaces for photos of which 68 landmarks are known, good enough to turn the faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pgnface._errors import UserError
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


class Turns(NamedTuple):
    """By how much faces are turned, further to the side they look to.

    Attributes:
        yaws: degrees to turn each face by.
        smallest: |yaw| in degrees that a face has at least after a turn.
        largest: |yaw| in degrees beyond which no face is turned.
    """

    yaws: Sequence[float] = (15.0, 30.0, 45.0)
    smallest: float = 0.0
    largest: float = 85.0

    def check(self) -> None:
        """Raises:
        UserError: without turns, for one that is not positive, or limits out of order.
        """
        if not self.yaws or not all(0 < yaw <= 180 for yaw in self.yaws):
            raise UserError(f"yaws must be positive degrees, got {tuple(self.yaws)}")
        if not 0 < self.largest <= 90:
            raise UserError(f"largest must lie between 0 and 90 degrees, got {self.largest}")
        if not 0 <= self.smallest <= self.largest:
            raise UserError(
                f"smallest must lie between 0 and largest ({self.largest:g}), got {self.smallest}"
            )

    def of(self, yaw: float) -> dict[int, float]:
        """What a face of a yaw is turned by, and the number of the turn from 1 on."""
        return {
            i: turn if yaw >= 0 else -turn
            for i, turn in enumerate(self.yaws, 1)
            if self.smallest <= abs(yaw) + turn <= self.largest
        }
