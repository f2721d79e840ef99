"""Pictures of a scan at given head poses, with exact truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from pgnface.evaluation.metrics import vertex_normals
from pgnface.geometry import Pose, apply_pose, rotation_from_angles
from pgnface.render import render

#: Angles in degrees that Jackson et al. (ICCV 2017) and after them PRNet render at.
PITCHES = (-15.0, 20.0, 25.0)
YAWS = (-80.0, -40.0, 0.0, 40.0, 80.0)

# The face's landmarks take up this much of the picture's height.
_FILLED = 0.5


class View(NamedTuple):
    """A picture of a scan.

    Attributes:
        image: ``(size, size, 3)`` uint8 RGB.
        vertices: ``(V, 3)`` of the scan in image space.
        landmarks: ``(K, 3)`` in image space.
    """

    image: NDArray[np.uint8]
    vertices: NDArray[np.float64]
    landmarks: NDArray[np.float64]


def render_view(
    vertices: ArrayLike,
    triangles: ArrayLike,
    landmarks: ArrayLike,
    *,
    pitch: float = 0.0,
    yaw: float = 0.0,
    colors: ArrayLike | None = None,
    size: int = 450,
) -> View:
    """Draw a scan under weak perspective, turned about the middle of its landmarks.

    Args:
        vertices, triangles: ``(V, 3)`` and ``(T, 3)``, y up and z out of the face.
        landmarks: ``(K, 3)``.
        pitch, yaw: degrees.
        colors: ``(V, 3)`` in [0, 1]; lit clay by default.
        size: pixels of the picture.
    """
    points, marks = (torch.from_numpy(np.asarray(a, np.float64)) for a in (vertices, landmarks))
    triangles = torch.from_numpy(np.asarray(triangles, np.int32))
    middle = (marks.amax(0) + marks.amin(0)) / 2
    pose = Pose(
        _FILLED * size / (marks[:, 1].max() - marks[:, 1].min()),
        rotation_from_angles(torch.tensor([pitch, yaw, 0.0], dtype=torch.float64)),
        torch.tensor([size / 2, size / 2, 0.0], dtype=torch.float64),
    )
    placed, placed_marks = apply_pose(pose, points - middle), apply_pose(pose, marks - middle)
    looks = _clay(points, triangles) if colors is None else torch.as_tensor(np.asarray(colors))
    drawn = render(placed.float()[None], triangles, size, size, colors=looks.float())
    image = (drawn.image[0].clamp(0, 1) * 255).round().byte()
    return View(image.permute(1, 2, 0).numpy(), placed.numpy(), placed_marks.numpy())


def _clay(points: torch.Tensor, triangles: torch.Tensor) -> torch.Tensor:
    """Grey, lit from the front and above."""
    normals = vertex_normals(points.numpy(), triangles.numpy())
    towards_lamp = np.array([0.2, 0.4, 1.0]) / np.linalg.norm([0.2, 0.4, 1.0])
    light = 0.3 + 0.6 * np.clip(normals @ towards_lamp, 0, None)
    return torch.from_numpy(light)[:, None].expand(-1, 3)
