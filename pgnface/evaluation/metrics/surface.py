"""Exact distances from points to a triangle mesh.

Arrays in, arrays out (NumPy, float64); a length has the unit of the input.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from pgnface import ops


class SurfacePoints(NamedTuple):
    """The points of a surface that are nearest to ``N`` points.

    Attributes:
        distances: ``(N,)``, never negative.
        points: ``(N, 3)`` on the surface.
        triangles: ``(N,)`` number of the triangle that each lies on.
        barycentrics: ``(N, 3)`` weights of its corners, exactly 0 for those that the edge or the
            vertex does not touch on which the point lies.
    """

    distances: NDArray[np.float64]
    points: NDArray[np.float64]
    triangles: NDArray[np.int64]
    barycentrics: NDArray[np.float64]


class Surface:
    """A triangle mesh prepared for many searches by :func:`pgnface.ops.closest_point`.

    Args:
        vertices: ``(V, 3)``.
        triangles: ``(T, 3)`` vertex numbers, counter-clockwise seen from outside.

    Raises:
        ValueError: for wrong shapes, no triangle, numbers out of range, or vertices that are not
            finite.
    """

    def __init__(self, vertices: ArrayLike, triangles: ArrayLike) -> None:
        self.vertices, self.triangles = check_mesh(vertices, triangles)
        self._mesh = torch.from_numpy(self.vertices), torch.from_numpy(self.triangles).int()
        self._tree = ops.build_triangle_tree(*self._mesh)

    def nearest(self, points: ArrayLike) -> SurfacePoints:
        """The nearest points of the surface to points ``(N, 3)``.

        Raises:
            ValueError: for another shape, or points that are not finite.
        """
        points = torch.from_numpy(check_points("points", points))
        found = ops.closest_point(points, *self._mesh, self._tree)
        return SurfacePoints(
            found.distances.numpy(),
            found.points.numpy(),
            found.triangle_ids.long().numpy(),
            found.barycentrics.numpy(),
        )

    def normals(self, numbers: ArrayLike | None = None) -> NDArray[np.float64]:
        """Unit normals ``(N, 3)`` of the triangles of these numbers (all by default); zero for a
        triangle without area.
        """
        triangles = self.triangles if numbers is None else self.triangles[np.asarray(numbers)]
        corners = self.vertices[triangles]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        return np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)


def point_to_surface(
    points: ArrayLike, vertices: ArrayLike, triangles: ArrayLike
) -> NDArray[np.float64]:
    """Unsigned distances ``(N,)`` from points to the nearest points of a mesh, wherever these lie
    on a triangle (not only at its corners).

    Args:
        points: ``(N, 3)``.
        vertices, triangles: the mesh, ``(V, 3)`` and ``(T, 3)``.

    Raises:
        ValueError: for wrong shapes, values that are not finite, or a mesh without triangles.
    """
    return Surface(vertices, triangles).nearest(points).distances


def point_to_plane(
    points: ArrayLike, vertices: ArrayLike, triangles: ArrayLike
) -> NDArray[np.float64]:
    """Signed distances ``(N,)`` from points to the planes of the nearest triangles, positive
    outside.

    Beyond a mesh's border this is less than the distance to the surface. Zero for a nearest
    triangle without area.

    Args and errors: as :func:`point_to_surface`.
    """
    surface = Surface(vertices, triangles)
    points = check_points("points", points)
    nearest = surface.nearest(points)
    normals = surface.normals(nearest.triangles)
    return ((points - nearest.points) * normals).sum(1)


def vertex_normals(vertices: ArrayLike, triangles: ArrayLike) -> NDArray[np.float64]:
    """Unit normals ``(V, 3)`` of a mesh's vertices, their triangles weighted by area; zero where a
    vertex has none.
    """
    vertices, triangles = check_mesh(vertices, triangles)
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    normals = np.zeros_like(vertices)
    face = np.cross(b - a, c - a)
    for k in range(3):
        np.add.at(normals, triangles[:, k], face)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)


def check_points(name: str, points: ArrayLike) -> NDArray[np.float64]:
    """Finite points ``(N, 3)`` as float64.

    Raises:
        ValueError: naming them, for anything else.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"{name} must have shape (N, 3), got {points.shape}")
    bad = int((~np.isfinite(points)).any(1).sum())
    if bad:
        raise ValueError(f"{name} must be finite, {bad} of {len(points)} are not")
    return np.ascontiguousarray(points)


def check_mesh(
    vertices: ArrayLike, triangles: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices ``(V, 3)`` as float64 and triangles ``(T, 3)``, T > 0, as int64.

    Raises:
        ValueError: for wrong shapes, no triangle, numbers out of range or values not finite.
    """
    vertices = check_points("vertices", vertices)
    triangles = np.asarray(triangles)
    if triangles.ndim != 2 or triangles.shape[1] != 3 or triangles.dtype.kind not in "iu":
        raise ValueError(
            f"triangles must be integers of shape (T, 3), got {triangles.dtype} {triangles.shape}"
        )
    if not len(triangles):
        raise ValueError("triangles: expected at least one, got none")
    triangles = triangles.astype(np.int64)
    low, high = triangles.min(), triangles.max()
    if low < 0 or high >= len(vertices):
        raise ValueError(
            f"triangles: expected numbers from 0 to {len(vertices) - 1}, got {low} to {high}"
        )
    return vertices, triangles
