"""From FaceMesh's 468 points to the 68 landmarks in the style of an annotation: a linear map.

Points are compared in the face's own frame: centred, of one size, without roll.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgnface._errors import UserError
from pgnface.geometry.landmarks import LANDMARK_MIRROR

POINT_COUNT = 468

# Outer corners of the right and left eye, top of the forehead, chin.
_EYES, _UP = (33, 263), (152, 10)
_FLIP = np.array([-1.0, 1.0, 1.0])
_KEYS = ("weights", "mesh_mean", "landmark_mean", "mirror")


class FaceFrames(NamedTuple):
    """Frames of ``N`` faces.

    Attributes:
        centre: ``(N, 3)``.
        size: ``(N,)`` root mean square distance from the centre.
        rotation: ``(N, 3, 3)`` in the image's plane, to the frame where the face is level.
    """

    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    rotation: NDArray[np.float64]

    def enter(self, points: NDArray) -> NDArray:
        """Points ``(N, K, 3)`` of the images in these frames."""
        moved = (points - self.centre[:, None]) @ self.rotation.swapaxes(1, 2)
        return moved / self.size[:, None, None]

    def leave(self, points: NDArray) -> NDArray:
        """The inverse of :meth:`enter`."""
        return (points * self.size[:, None, None]) @ self.rotation + self.centre[:, None]


def level_angles(meshes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Roll ``(N,)`` in radians of meshes ``(N, 468, 3)``: by the line of the eyes and, as that gets
    short in profiles, by the line from the chin to the forehead.
    """
    across = meshes[:, _EYES[1], :2] - meshes[:, _EYES[0], :2]
    up = meshes[:, _UP[1], :2] - meshes[:, _UP[0], :2]
    line = across + np.stack((-up[:, 1], up[:, 0]), -1)
    return np.arctan2(line[:, 1], line[:, 0])


def face_frames(meshes: NDArray[np.float64]) -> FaceFrames:
    """Frames of meshes ``(N, 468, 3)``."""
    centre = meshes.mean(1)
    size = np.sqrt(np.square(meshes - centre[:, None]).sum(-1).mean(1))
    angle = level_angles(meshes)
    rotation = np.tile(np.eye(3), (len(meshes), 1, 1))
    rotation[:, 0, 0] = rotation[:, 1, 1] = np.cos(angle)
    rotation[:, 0, 1] = np.sin(angle)
    rotation[:, 1, 0] = -np.sin(angle)
    return FaceFrames(centre, size, rotation)


def mirror_numbers(meshes: NDArray[np.float64], mirrored: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which point ``(468,)`` of a mirror image's mesh lies where each point of the face's does.

    Args:
        meshes: ``(N, 468, 3)`` of faces.
        mirrored: ``(N, 468, 3)`` of their mirror images, brought back onto the faces, numbered as
            the mirror has them.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    # As it was in the mirror, the frame of a mesh follows from its numbers.
    flipped = mirrored * _FLIP
    there = face_frames(flipped).enter(flipped).mean(0) * _FLIP
    here = face_frames(meshes).enter(meshes).mean(0)
    return linear_sum_assignment(cdist(here, there))[1]


@dataclass(frozen=True)
class MeshMap:
    """Meshes to landmarks.

    Attributes:
        weights: ``(1404, 204)``.
        mesh_mean: ``(1404,)`` that belongs to ``landmark_mean`` ``(204,)``.
        mirror: ``(468,)``, see :func:`mirror_numbers`.
    """

    weights: NDArray[np.float64]
    mesh_mean: NDArray[np.float64]
    landmark_mean: NDArray[np.float64]
    mirror: NDArray[np.int64]

    @property
    def digest(self) -> str:
        """Of all numbers."""
        digest = hashlib.sha256()
        for value in astuple(self):
            digest.update(np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()

    def __call__(self, meshes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Landmarks ``(N, 68, 3)`` of meshes ``(N, 468, 3)``, in their pixels, of mean depth 0."""
        frames = face_frames(meshes)
        inside = frames.enter(meshes).reshape(len(meshes), -1)
        landmarks = (inside - self.mesh_mean) @ self.weights + self.landmark_mean
        return centre_depth(frames.leave(landmarks.reshape(-1, 68, 3)))

    def save(self, path: str | Path) -> None:
        """Write an .npz file."""
        np.savez(path, **dict(zip(_KEYS, astuple(self), strict=True)))

    @classmethod
    def load(cls, path: str | Path) -> MeshMap:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: when the file is missing or something else.
        """
        sizes = POINT_COUNT * 3, 204
        try:
            with np.load(path, allow_pickle=False) as content:
                result = cls(*(content[key] for key in _KEYS))
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{path}: is not a map of meshes to landmarks ({error})") from None
        expected = (sizes, sizes[:1], sizes[1:], (POINT_COUNT,))
        shapes = tuple(np.shape(value) for value in astuple(result))
        if shapes != expected:
            raise UserError(f"{path}: expected arrays of shapes {expected}, got {shapes}")
        return result


def centre_depth(points: NDArray) -> NDArray:
    """Points ``(..., K, 3)`` with a mean depth of 0."""
    return points - points[..., 2:].mean(-2, keepdims=True) * np.array([0.0, 0.0, 1.0])


def fit_mesh_map(
    meshes: NDArray[np.float64],
    mirrored: NDArray[np.float64],
    landmarks: NDArray[np.float64],
    face_weights: ArrayLike | None = None,
    ridge: float = 1e-4,
) -> MeshMap:
    """The map with the least squared error, by ridge regression (Hoerl and Kennard, 1970).

    Each face serves four times: by itself and by its mirror image, and both the other way round, so
    that the map is symmetric.

    Args:
        meshes, mirrored: see :func:`mirror_numbers`.
        landmarks: ``(N, 68, 3)`` in the same pixels.
        face_weights: ``(N,)`` of the faces; ones by default.
        ridge: penalty of the squared weights, over the number of faces.

    Raises:
        ValueError: for other shapes.
    """
    count = len(meshes)
    shapes = (meshes.shape, mirrored.shape, landmarks.shape)
    if shapes != ((count, POINT_COUNT, 3), (count, POINT_COUNT, 3), (count, 68, 3)) or not count:
        raise ValueError(f"fit_mesh_map: expected (N, 468, 3) twice and (N, 68, 3), got {shapes}")
    mirror = mirror_numbers(meshes, mirrored)
    inputs, outputs = [], []
    for seen in (meshes, mirrored[:, mirror]):
        frames = face_frames(seen)
        x = frames.enter(seen)
        # Depth is known up to a constant: its mean is zero there as well.
        y = centre_depth(frames.enter(landmarks))
        inputs += [x, (x * _FLIP)[:, mirror]]
        outputs += [y, (y * _FLIP)[:, list(LANDMARK_MIRROR)]]
    x = np.concatenate(inputs).reshape(4 * count, -1)
    y = np.concatenate(outputs).reshape(4 * count, -1)
    w = np.tile(np.ones(count) if face_weights is None else np.asarray(face_weights), 4)[:, None]
    mesh_mean, landmark_mean = (np.average(v, axis=0, weights=w[:, 0]) for v in (x, y))
    x, y = x - mesh_mean, y - landmark_mean
    normal = x.T @ (w * x) + ridge * count * np.eye(x.shape[1])
    weights = np.linalg.solve(normal, x.T @ (w * y))
    return MeshMap(weights, mesh_mean, landmark_mean, mirror)
