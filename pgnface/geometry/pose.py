"""Head pose: a similarity from model space to image space, and its angles.

Model space is in millimetres (x to the subject's left, y up, z out of the face). Image space is in
pixels (x right, y down, z into the scene; the corner of the image is the origin)::

    image = scale * F @ rotation @ model + translation,    F = diag(1, -1, -1)

so that the identity rotation is a frontal face. Angles are those of the AFLW2000-3D annotations:
``rotation = Rx(pitch) @ Ry(yaw) @ Rz(roll)``, in degrees.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Pose(NamedTuple):
    """Head poses under weak perspective; any leading dimensions.

    Attributes:
        scale: ``(...)`` pixels per millimetre.
        rotation: ``(..., 3, 3)`` with determinant +1, model space to the viewer-facing frame
            (x right, y up, z to the viewer).
        translation: ``(..., 3)`` pixels.
    """

    scale: Tensor
    rotation: Tensor
    translation: Tensor

    @property
    def image_rotation(self) -> Tensor:
        """``F @ rotation``: the linear map to image axes, up to scale."""
        return flip_axes(self.rotation, dim=-2)


def flip_axes(values: Tensor, dim: int = -1) -> Tensor:
    """Apply ``F = diag(1, -1, -1)`` along an axis of size 3."""
    x, y, z = values.unbind(dim)
    return torch.stack((x, -y, -z), dim=dim)


def apply_pose(pose: Pose, points: Tensor) -> Tensor:
    """Model-space points ``(..., K, 3)`` to image space."""
    rotated = points @ pose.image_rotation.transpose(-1, -2)
    return pose.scale[..., None, None] * rotated + pose.translation[..., None, :]


def rotation_from_angles(angles: Tensor) -> Tensor:
    """Rotation matrices ``(..., 3, 3)`` of (pitch, yaw, roll) in degrees ``(..., 3)``."""
    (cp, cy, cr), (sp, sy, sr) = (
        torch.deg2rad(angles).cos().unbind(-1),
        torch.deg2rad(angles).sin().unbind(-1),
    )
    zero, one = torch.zeros_like(cp), torch.ones_like(cp)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, -1).unflatten(-1, (3, 3))

    rx = matrix(one, zero, zero, zero, cp, sp, zero, -sp, cp)
    ry = matrix(cy, zero, -sy, zero, one, zero, sy, zero, cy)
    rz = matrix(cr, sr, zero, -sr, cr, zero, zero, zero, one)
    return rx @ ry @ rz


def angles_from_rotation(rotation: Tensor) -> Tensor:
    """(pitch, yaw, roll) in degrees ``(..., 3)``; the inverse of :func:`rotation_from_angles`.

    Yaw lies in [-90, 90]. At yaw = +-90 only a combination of pitch and roll is determined; roll is
    then 0.
    """
    sin_yaw = (-rotation[..., 0, 2]).clamp(-1, 1)
    locked = sin_yaw.abs() > 1 - 1e-7
    roll = torch.atan2(rotation[..., 0, 1], rotation[..., 0, 0])
    pitch = torch.atan2(rotation[..., 1, 2], rotation[..., 2, 2])
    locked_pitch = torch.atan2(-rotation[..., 2, 1], rotation[..., 1, 1])
    pitch = torch.where(locked, locked_pitch, pitch)
    roll = torch.where(locked, torch.zeros_like(roll), roll)
    return torch.rad2deg(torch.stack((pitch, torch.asin(sin_yaw), roll), -1))


def rotation_distance(a: Tensor, b: Tensor) -> Tensor:
    """Angle in degrees ``(...)`` of the rotation that takes one matrix to the other."""
    # |A - B|_F = 2 sqrt(2) sin(angle / 2) keeps its precision near zero, where arccos loses it.
    chord = (a - b).flatten(-2).norm(dim=-1)
    return torch.rad2deg(2 * torch.asin((chord / 8**0.5).clamp(max=1)))


def mean_rotation(rotations: Tensor) -> Tensor:
    """Chordal mean ``(3, 3)`` of rotations ``(N, 3, 3)`` (Moakher 2002): the rotation nearest to
    their arithmetic mean.
    """
    u, _, vh = torch.linalg.svd(rotations.double().mean(0))
    u = torch.cat((u[:, :2], u[:, 2:] * torch.det(u @ vh)), 1)
    return (u @ vh).to(rotations.dtype)
