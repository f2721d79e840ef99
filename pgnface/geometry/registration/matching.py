"""Which points of a target surface the vertices of a mesh are paired with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgnface.evaluation.metrics import Surface, vertex_normals

# A barycentric weight below this puts a point on the opposite edge.
_ON_EDGE = 1e-6


class Pairs(NamedTuple):
    """Partners of ``V`` points.

    Attributes:
        points: ``(V, 3)`` the nearest points of the target.
        valid: ``(V,)`` whether the pair can be trusted.
        distances: ``(V,)`` between the two.
    """

    points: NDArray[np.float64]
    valid: NDArray[np.bool_]
    distances: NDArray[np.float64]


class Target:
    """A surface to register to, with the checks of Amberg et al. (2007), section 4.3.

    A pair is dropped when the point found lies on the target's border (there the target has a hole,
    or ends), when the surfaces face different ways, or when the points are too far apart. Their
    fourth check, that the line between the two meets no other part of the source, is not made.

    Args:
        vertices, triangles: the target, ``(V', 3)`` and ``(T', 3)``.
        max_distance: largest distance of a pair.
        max_angle: largest angle between the two normals, in degrees.
    """

    def __init__(self, vertices, triangles, *, max_distance: float, max_angle: float) -> None:
        self.surface = Surface(vertices, triangles)
        self._normals = vertex_normals(self.surface.vertices, self.surface.triangles)
        self._border = border_edges(self.surface.triangles)
        self._border_vertices = np.zeros(len(self.surface.vertices), bool)
        for corner in range(3):
            ends = np.delete(self.surface.triangles, corner, axis=1)[self._border[:, corner]]
            self._border_vertices[ends] = True
        self._max_distance = max_distance
        self._least_cosine = np.cos(np.deg2rad(max_angle))

    def pair(self, points: NDArray[np.float64], normals: NDArray[np.float64]) -> Pairs:
        """The partners of points ``(V, 3)`` with unit normals ``(V, 3)``."""
        found = self.surface.nearest(points)
        weights = found.barycentrics
        corners = self.surface.triangles[found.triangles]
        on_border = ((weights < _ON_EDGE) & self._border[found.triangles]).any(1)
        on_border |= ((weights > 1 - _ON_EDGE) & self._border_vertices[corners]).any(1)
        theirs = (weights[..., None] * self._normals[corners]).sum(1)
        # Not of unit length between the corners; a surface without a normal is not held against.
        cosine = (normals * theirs).sum(1) / np.maximum(np.linalg.norm(theirs, axis=1), 1e-12)
        known = (np.abs(normals).sum(1) > 0) & (np.abs(theirs).sum(1) > 0)
        valid = ~on_border & (found.distances <= self._max_distance)
        valid &= ~known | (cosine >= self._least_cosine)
        return Pairs(found.points, valid, found.distances)


def border_edges(triangles: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the edge opposite to each corner ``(T, 3)`` belongs to one triangle only."""
    edges = np.stack((triangles[:, [1, 2]], triangles[:, [2, 0]], triangles[:, [0, 1]]), axis=1)
    edges = np.sort(edges.reshape(-1, 2), axis=1)
    _, index, count = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    return (count[index.ravel()] == 1).reshape(-1, 3)
