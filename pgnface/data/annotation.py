"""The .mat files of AFLW2000-3D and 300W-LP (Zhu et al., CVPR 2016).

The files count pixels from 1, have y pointing up in the pose alone and z to the viewer; here the
image's corner is (0, 0) and z points into the scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.geometry import Pose, rotation_from_angles

MAX_ANGLE = 99.0
"""Degrees beyond which an annotated angle is taken for a mistake, as published evaluations do."""


class AnnotationError(UserError):
    """A .mat file that does not hold the annotation of a face."""


@dataclass(frozen=True)
class Annotation:
    """What a .mat file says of a face.

    Attributes:
        landmarks: ``(68, 3)`` in pixels of the image, z into the scene.
        has_depth: whether z is known; files with ``pt2d`` alone have zeros.
        angles: ``(3,)`` pitch, yaw, roll in degrees.
        rotation: ``(3, 3)`` of :class:`pgnface.geometry.Pose`, against BFM's frontal head.
        scale: pixels per millimetre of BFM's head.
        parameters: ``(7,)`` ``Pose_Para`` as it stands: pitch, yaw, roll in radians, translation
            in pixels, scale in pixels per micrometre.
        shape: ``(199,)`` ``Shape_Para``: BFM 2009's shape, in multiples of its principal
            components as 3DDFA scales them; ``None`` where it is missing.
        expression: ``(29,)`` ``Exp_Para`` likewise.
    """

    landmarks: NDArray[np.float64]
    has_depth: bool
    angles: NDArray[np.float64]
    rotation: NDArray[np.float64]
    scale: float
    parameters: NDArray[np.float64]
    shape: NDArray[np.float64] | None = None
    expression: NDArray[np.float64] | None = None

    @property
    def plausible(self) -> bool:
        """Whether all angles lie within :data:`MAX_ANGLE`."""
        return bool((np.abs(self.angles) <= MAX_ANGLE).all())

    def pose(self, height: int) -> Pose:
        """The pose of BFM's head in a photo of ``height`` pixels, in double precision."""
        x, y, z = self.parameters[3:6]
        # y points up from the last row in the files, and the first pixel's centre is 1.
        translation = [x - 0.5, height + 1 - y - 0.5, -z]
        return Pose(
            torch.tensor(self.scale, dtype=torch.float64),
            torch.from_numpy(self.rotation),
            torch.tensor(translation, dtype=torch.float64),
        )


def read_annotation(path: str | Path) -> Annotation:
    """Read a .mat file: ``Pose_Para`` and ``pt3d_68``, or 68 points of ``pt2d``.

    Raises:
        AnnotationError: naming the file, when it is missing, no .mat file, or lacks an entry.
    """
    from scipy.io import loadmat

    if not Path(path).is_file():
        raise AnnotationError(f"{path}: no such file")
    try:
        content = loadmat(path, appendmat=False)
    except Exception as error:  # scipy raises many kinds for files that are not what they say
        raise AnnotationError(f"{path}: is not a readable .mat file ({error})") from error
    try:
        return _parse(content)
    except AnnotationError as error:
        raise AnnotationError(f"{path}: {error}") from None


def _parse(content: dict) -> Annotation:
    """The annotation in the entries of a .mat file."""
    points = content.get("pt3d_68")
    if points is None and np.shape(content.get("pt2d")) == (2, 68):
        points = content["pt2d"]
    if points is None or np.shape(points) not in ((3, 68), (2, 68)):
        raise AnnotationError(
            "expected pt3d_68 of shape (3, 68) or pt2d of shape (2, 68), "
            f"got pt3d_68 {np.shape(points) if points is not None else 'missing'}"
        )
    try:
        points = np.asarray(points, dtype=np.float64)
        pose = np.asarray(content.get("Pose_Para", ()), dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"expected numbers in pt3d_68 and Pose_Para ({error})") from None
    if pose.size != 7:
        raise AnnotationError(f"expected Pose_Para with 7 numbers, got {pose.size}")
    if not (np.isfinite(points).all() and np.isfinite(pose).all()):
        raise AnnotationError("landmarks and pose must be finite")
    if not np.ptp(points[:2], 1).max() > 0:
        raise AnnotationError("landmarks must span an area, all 68 coincide")
    landmarks = np.zeros((68, 3))
    # The first pixel's centre is 1 in the files and 0.5 here.
    landmarks[:, :2] = points[:2].T - 0.5
    if len(points) == 3:
        landmarks[:, 2] = -points[2]
    angles = np.rad2deg(pose[:3])
    return Annotation(
        landmarks=landmarks,
        has_depth=len(points) == 3,
        angles=angles,
        rotation=rotation_from_angles(torch.from_numpy(angles)).numpy(),
        scale=float(pose[6]) * 1000,
        parameters=pose,
        shape=_coefficients(content, "Shape_Para", 199),
        expression=_coefficients(content, "Exp_Para", 29),
    )


def _coefficients(content: dict, key: str, count: int) -> NDArray[np.float64] | None:
    if key not in content:
        return None
    try:
        values = np.asarray(content[key], dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"expected numbers in {key} ({error})") from None
    if values.size != count or not np.isfinite(values).all():
        raise AnnotationError(f"expected {key} with {count} finite numbers, got {values.size}")
    return values


def pose_parameters(pose: Pose, angles: NDArray, height: int) -> NDArray[np.float64]:
    """``Pose_Para`` ``(7,)`` of a pose in a photo; the inverse of :meth:`Annotation.pose`.

    Args:
        pose: without leading dimensions.
        angles: its pitch, yaw and roll in degrees, which a matrix alone leaves open at profiles.
        height: of the photo.
    """
    x, y, z = pose.translation.tolist()
    translation = [x + 0.5, height + 1 - (y + 0.5), -z]
    return np.array([*np.deg2rad(angles), *translation, float(pose.scale) / 1000])
