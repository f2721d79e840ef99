"""Exact distances from points to a triangle mesh.

Arrays in, arrays out (NumPy, float64); a length has the unit of the input.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

# How many nearest centroids are looked at first, and by how much the number grows for the points
# whose nearest triangle may lie beyond them.
_NEIGHBOURS, _GROWTH = 4, 4
# Pairs of a point and a triangle that are looked at together, which bounds the memory.
_PAIRS = 1 << 20


class SurfacePoints(NamedTuple):
    """The points of a surface that are nearest to ``N`` points.

    Attributes:
        distances: ``(N,)``, never negative.
        points: ``(N, 3)`` on the surface.
        triangles: ``(N,)`` number of the triangle that each lies on.
    """

    distances: NDArray[np.float64]
    points: NDArray[np.float64]
    triangles: NDArray[np.int64]


class Surface:
    """A triangle mesh prepared for many nearest-point queries.

    A triangle's bounding sphere around its centroid tells which triangles can be the nearest: those
    whose centroid lies no further than the distance found so far plus the sphere's radius. There is
    one k-d tree of centroids for each octave of the radius, so that a few large triangles do not
    widen the search among the small ones.

    Args:
        vertices: ``(V, 3)``.
        triangles: ``(T, 3)`` vertex numbers, counter-clockwise seen from outside.

    Raises:
        ValueError: for wrong shapes, no triangle, numbers out of range, or vertices of a triangle
            that are not finite.
    """

    def __init__(self, vertices: ArrayLike, triangles: ArrayLike) -> None:
        self.vertices, self.triangles = check_mesh(vertices, triangles)
        self.corners = self.vertices[self.triangles]
        self._centroids = centroids = self.corners.mean(1)
        self._radii = np.linalg.norm(self.corners - centroids[:, None], axis=-1).max(1)
        self._planes = self.normals()
        # The plane of a sliver is lost in rounding: its sphere has to do.
        edges = self.corners[:, 1:] - self.corners[:, :1]
        area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
        self._planes[area < 1e-8 * self._radii**2] = 0
        smallest = np.finfo(np.float64).tiny
        octaves = np.floor(np.log2(np.maximum(self._radii, smallest))).astype(int)
        self._groups: list[tuple[NDArray[np.int64], cKDTree, float]] = []
        for octave in np.unique(octaves):
            members = np.flatnonzero(octaves == octave)
            tree = cKDTree(centroids[members])
            self._groups.append((members, tree, float(self._radii[members].max())))
        # The largest group first: it gives most points their final distance.
        self._groups.sort(key=lambda group: -len(group[0]))

    def nearest(self, points: ArrayLike) -> SurfacePoints:
        """The nearest points of the surface to points ``(N, 3)``.

        Raises:
            ValueError: for another shape, or points that are not finite.
        """
        points = check_points("points", points)
        best = SurfacePoints(
            np.full(len(points), np.inf),
            np.zeros_like(points),
            np.zeros(len(points), np.int64),
        )
        for members, tree, radius in self._groups:
            self._search_group(points, best, members, tree, radius)
        return best

    def normals(self, numbers: ArrayLike | None = None) -> NDArray[np.float64]:
        """Unit normals ``(N, 3)`` of the triangles of these numbers (all by default); zero for a
        triangle without area.
        """
        corners = self.corners if numbers is None else self.corners[np.asarray(numbers)]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        return np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)

    def _search_group(self, points, best, members, tree, radius) -> None:
        """Lower ``best`` in place by the triangles of one octave of the radius."""
        open_points = np.arange(len(points))
        count, seen = min(_NEIGHBOURS, len(members)), 0
        while len(open_points):
            parts = np.array_split(open_points, -(-len(open_points) * count // _PAIRS))
            reach = [
                self._try_neighbours(points, best, p, members, tree, seen, count) for p in parts
            ]
            if count == len(members):
                break
            undecided = np.concatenate(reach) - radius < best.distances[open_points]
            open_points = open_points[undecided]
            count, seen = min(count * _GROWTH, len(members)), count

    def _try_neighbours(self, points, best, rows, members, tree, seen, count) -> NDArray:
        """Lower ``best`` at ``rows`` by the triangles whose centroids are the nearest ``seen`` to
        ``count``; how far the last of these lie.
        """
        reach, found = tree.query(points[rows], k=np.arange(seen + 1, count + 1), workers=-1)
        for column in range(count - seen):
            numbers = members[found[:, column]]
            near = reach[:, column] - self._radii[numbers] < best.distances[rows]
            chosen, numbers = rows[near], numbers[near]
            near = self._lower_bound(points[chosen], numbers) < best.distances[chosen]
            self._measure(points, best, chosen[near], numbers[near])
        return reach[:, -1]

    def _lower_bound(self, points, numbers) -> NDArray[np.float64]:
        """Distance from points to the discs that hold the triangles, one of each. Of the triangles
        that a point hovers over at some height the sphere tells few apart, the disc all but those
        below it.
        """
        arms = points - self._centroids[numbers]
        height = np.einsum("ij,ij->i", arms, self._planes[numbers])
        square = np.einsum("ij,ij->i", arms, arms)
        beside = np.sqrt(np.maximum(square - height**2, 0)) - self._radii[numbers]
        # Less by the rounding of these numbers, lest the nearest triangle be missed.
        return np.hypot(height, np.maximum(beside, 0)) - 1e-9 * np.sqrt(square)

    def _measure(self, points, best, rows, numbers) -> None:
        """Keep the triangle ``numbers[i]`` for the point ``rows[i]`` where it is nearer."""
        from trimesh.triangles import closest_point

        closest = closest_point(self.corners[numbers], points[rows])
        distance = np.linalg.norm(closest - points[rows], axis=1)
        nearer = distance < best.distances[rows]
        rows = rows[nearer]
        best.distances[rows] = distance[nearer]
        best.points[rows] = closest[nearer]
        best.triangles[rows] = numbers[nearer]


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
    return points


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
