"""Cameras: from camera axes to image space, under weak perspective and through a pinhole.

Camera axes are those of the image: x right, y down, z into the scene, in millimetres, with the
camera at the origin for the pinhole. A head with rotation R (see :class:`Pose`) whose model origin
lies at ``position`` has its points at ``F @ R @ model + position``, F = diag(1, -1, -1).

Image space is the same for both cameras: pixels from the image's top-left corner, and a depth that
grows into the scene. Under weak perspective depth is ``scale * z``. Through a pinhole it is
``focal * (1 - distance / z)`` for a reference distance: zero there, nearly ``(focal / distance) *
(z - distance)`` around it, so that a distant pinhole gives what weak perspective gives; and affine
in 1 / z, so that a rasterizer may interpolate it linearly over a triangle in the image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .pose import Pose, flip_axes


class PinholeCamera(NamedTuple):
    """A pinhole with square pixels and no distortion; any leading dimensions.

    Attributes:
        focal: ``(...)`` focal length in pixels.
        center: ``(..., 2)`` principal point in image space (pixels, x right, y down).
    """

    focal: Tensor
    center: Tensor


def pinhole_from_field_of_view(degrees: float, height: int, width: int) -> PinholeCamera:
    """A pinhole in the middle of an image, from the angle that the image's height covers.

    Raises:
        ValueError: for an angle outside (0, 180) or an empty image.
    """
    if not 0 < degrees < 180:
        raise ValueError(f"pinhole_from_field_of_view: degrees must lie in (0, 180), got {degrees}")
    if height < 1 or width < 1:
        raise ValueError(
            f"pinhole_from_field_of_view: height and width must be positive, got {height}, {width}"
        )
    half = torch.deg2rad(torch.tensor(degrees / 2))
    return PinholeCamera(height / 2 / torch.tan(half), torch.tensor([width / 2, height / 2]))


def to_camera(points: Tensor, rotation: Tensor, position: Tensor) -> Tensor:
    """Model-space points in camera axes: ``F @ rotation @ point + position``.

    Args:
        points: ``(..., K, 3)`` model space (mm).
        rotation: ``(..., 3, 3)`` as in :class:`Pose`.
        position: ``(..., 3)`` of the model's origin (mm).

    Returns:
        ``(..., K, 3)`` mm.
    """
    return points @ flip_axes(rotation, dim=-2).transpose(-1, -2) + position[..., None, :]


def project_weak_perspective(points: Tensor, scale: Tensor, translation: Tensor) -> Tensor:
    """Points in camera axes to image space: ``scale * point + translation``.

    Args:
        points: ``(..., K, 3)`` mm; only differences of z matter, so the origin is free.
        scale: ``(...)`` pixels per millimetre.
        translation: ``(..., 3)`` pixels.

    Returns:
        ``(..., K, 3)`` image space. For model-space points and a :class:`Pose` see
        :func:`apply_pose`, which is this after :func:`to_camera` with the position 0.
    """
    return scale[..., None, None] * points + translation[..., None, :]


def project_pinhole(points: Tensor, camera: PinholeCamera, distance: Tensor) -> Tensor:
    """Points in camera axes to image space through a pinhole.

    Args:
        points: ``(..., K, 3)`` mm.
        camera: focal length and principal point in pixels.
        distance: ``(...)`` mm, positive: where image depth is 0, usually the z of the head.

    Returns:
        ``(..., K, 3)`` image space, see the module's text for depth. A point that is not in front
        of the camera (z <= 0) has no image: NaN, and no gradient.
    """
    depth = points[..., 2:]
    visible = depth > 0
    inverse = 1 / torch.where(visible, depth, 1)
    focal = camera.focal[..., None, None]
    image = torch.cat(
        (
            focal * points[..., :2] * inverse + camera.center[..., None, :],
            focal * (1 - distance[..., None, None] * inverse),
        ),
        dim=-1,
    )
    return torch.where(visible, image, torch.nan)


def weak_perspective_pose(camera: PinholeCamera, rotation: Tensor, position: Tensor) -> Pose:
    """The weak-perspective pose that agrees with a pinhole to first order at the model's origin.

    Args:
        camera: focal length and principal point in pixels.
        rotation: ``(..., 3, 3)`` as in :class:`Pose`.
        position: ``(..., 3)`` of the model's origin in camera axes (mm), in front of the camera.

    Returns:
        The pose with scale ``focal / z``; depth 0 is at the model's origin, as
        :func:`project_pinhole` has it with ``distance = z``.
    """
    scale = camera.focal / position[..., 2]
    xy = scale[..., None] * position[..., :2] + camera.center
    translation = torch.cat((xy, torch.zeros_like(xy[..., :1])), dim=-1)
    return Pose(scale, rotation, translation)
