"""Texture coordinates for models that come without: injective maps of a surface onto a square."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from scipy import sparse

_MARGIN = 0.02
_SQUARENESS = 4.0  # exponent of the superellipse; strictly convex, as Tutte's theorem asks
_ROUNDS = 4
_RATE = 0.5
_SMALL_PART = 0.12  # side of the square that an eyeball or a row of teeth gets
_STRAIGHT = 1 - 1e-9  # cosine: triangles without area still get positive, finite weights
_TINY = 1e-12


def unwrap(vertices: ArrayLike, triangles: ArrayLike) -> NDArray[np.float32]:
    """Texture coordinates ``(V, 2)`` in [0, 1] for a mesh; u right, v down, as a face is seen.

    The largest connected part is flattened by :func:`flatten_disk`: its longest border (of the
    crop, or of the neck) becomes the chart's, holes at eyes, mouth and nostrils are bridged, and
    the chart is turned so that the front of the face stands upright. Each other part (an eyeball,
    teeth) gets a square of its own in a row below. A part without any border is opened at its
    lowest vertex, or at the rearmost one for an eyeball: the triangles there are laid over the
    rest, since no map of a closed surface is injective. A vertex that no triangle uses gets the
    coordinates of the nearest one in use.

    Args:
        vertices: ``(V, 3)``; x to the subject's left, y up, z out of the face, in any unit.
        triangles: ``(T, 3)`` ids, counter-clockwise seen from outside.

    Raises:
        ValueError: for wrong shapes, ids out of range, or no triangle.
    """
    points = np.asarray(vertices, np.float64)
    faces = np.asarray(triangles, np.int64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"vertices: expected shape (V, 3), got {points.shape}")
    if faces.ndim != 2 or faces.shape[1:] != (3,) or not len(faces):
        raise ValueError(f"triangles: expected shape (T, 3) with T above 0, got {faces.shape}")
    if faces.min() < 0 or faces.max() >= len(points):
        raise ValueError(
            f"triangles: expected ids from 0 to {len(points) - 1}, "
            f"got {faces.min()} to {faces.max()}"
        )
    uv = np.full((len(points), 2), np.nan)
    parts = _connected_parts(points, faces)
    side = min(_SMALL_PART, 1 / max(len(parts) - 1, 1)) if len(parts) > 1 else 0.0
    for i, part in enumerate(parts):
        ids, local = np.unique(part, return_inverse=True)
        chart = _flatten_part(points[ids], local.reshape(-1, 3), main=i == 0)
        uv[ids] = chart * (1, 1 - side) if i == 0 else chart * side + ((i - 1) * side, 1 - side)
    unused = np.isnan(uv[:, 0])
    if unused.any():
        from scipy.spatial import cKDTree

        uv[unused] = uv[~unused][cKDTree(points[~unused]).query(points[unused])[1]]
    return np.clip(uv, 0, 1).astype(np.float32)


def flatten_disk(points: NDArray, triangles: NDArray, border: NDArray) -> NDArray[np.float64]:
    """Texture coordinates ``(V, 2)`` in [margin, 1 - margin] of a disk-shaped surface.

    A convex-combination map (Tutte 1963; Floater 2003) with the border on a superellipse: each
    inner vertex is a positive mean of its neighbours, which makes the map injective. Mean value
    weights start it; dividing them by the local stretch a few times evens the scale out
    (Yoshizawa, Belyaev and Seidel 2004) and keeps them positive.

    Args:
        points: ``(V, 3)``.
        triangles: ``(T, 3)``, counter-clockwise seen from outside; every vertex is in one.
        border: ``(B,)`` ids of the border in the direction of the triangles' own edges. The first
            is placed at the middle of the top.
    """
    from scipy import sparse

    places = 0.5 + (0.5 - _MARGIN) * _border_places(points[border], _SQUARENESS)
    weights = _mean_value_weights(points, triangles)
    for _ in range(_ROUNDS):
        uv = _solve(weights, border, places)
        stretch = _stretch(points, uv, triangles)
        weights = weights @ sparse.diags((stretch / stretch.mean()) ** -_RATE)
    return _solve(weights, border, places)


def border_loops(triangles: NDArray) -> list[NDArray]:
    """Border loops, longest first: vertex ids in the direction of the triangles' own edges."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    present = {(int(a), int(b)) for a, b in edges}
    following: dict[int, list[int]] = {}
    for a, b in sorted(present):
        if (b, a) not in present:
            following.setdefault(a, []).append(b)
    loops = []
    while following:
        path = [min(following)]
        while path[-1] in following:
            ends = following[path[-1]]
            vertex = ends.pop()
            if not ends:
                del following[path[-1]]
            if vertex in path:  # one loop is complete; it may touch another at this vertex
                at = path.index(vertex)
                loops.append(np.array(path[at:]))
                path = path[:at]
            path.append(vertex)
        if len(path) > 1:  # triangles turned against their neighbours: an end without a way on
            loops.append(np.array(path))
    return sorted(loops, key=len, reverse=True)


def overlap(uv: NDArray, triangles: NDArray) -> float:
    """The part of the chart's area in triangles that are flipped: 0 for an injective map."""
    area = _signed_area(uv, triangles)
    # v points down, so that outward triangles turn clockwise.
    return float(np.clip(area, 0, None).sum() / np.abs(area).sum())


def _connected_parts(points: NDArray, triangles: NDArray) -> list[NDArray]:
    """The triangles of each connected part, that of the largest area first."""
    from scipy import sparse
    from scipy.sparse import csgraph

    links = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    graph = sparse.coo_matrix((np.ones(len(links)), tuple(links.T)), (len(points), len(points)))
    label = csgraph.connected_components(graph, directed=False)[1][triangles[:, 0]]
    present, label = np.unique(label, return_inverse=True)
    a, b, c = points[triangles].transpose(1, 0, 2)
    area = np.bincount(label, np.linalg.norm(np.cross(b - a, c - a), axis=1), len(present))
    return [triangles[label == i] for i in np.argsort(-area, kind="stable")]


def _flatten_part(points: NDArray, triangles: NDArray, *, main: bool) -> NDArray:
    """Chart ``(V, 2)`` of one connected part, opened where it is closed, its holes bridged."""
    count = len(points)
    loops = border_loops(triangles)
    opened = None
    if not loops:
        opened = int(points[:, 1].argmin() if main else points[:, 2].argmin())
        around = np.setdiff1d(triangles[(triangles == opened).any(1)], [opened])
        triangles = triangles[(triangles != opened).all(1)]
        loops = border_loops(triangles)
    if not loops or min(map(len, loops)) < 3:  # no surface: a sheet with two sides, or flaps
        flat = points[:, :2] - points[:, :2].min(0)
        return _MARGIN + (1 - 2 * _MARGIN) * flat / max(flat.max(), _TINY) * (1, -1) + (0, 1)
    lengths = [
        np.linalg.norm(points[loop] - points[np.roll(loop, 1)], axis=1).sum() for loop in loops
    ]
    outer, *holes = (loops[i] for i in np.argsort(lengths)[::-1])
    for hole in holes:
        # A fan about the middle; against the border's direction, so that it faces as the rest.
        fan = (np.roll(hole, -1), hole, np.full(len(hole), len(points)))
        triangles = np.concatenate((triangles, np.stack(fan, 1)))
        points = np.concatenate((points, points[hole].mean(0, keepdims=True)))
    used, local = np.unique(triangles, return_inverse=True)
    local = local.reshape(-1, 3)
    border = _upright(points[used], local, np.searchsorted(used, outer))
    uv = np.empty((len(points), 2))
    uv[used] = flatten_disk(points[used], local, border)
    if opened is not None:
        uv[opened] = uv[around[0]]
    return uv[:count]


def _upright(points: NDArray, triangles: NDArray, border: NDArray) -> NDArray:
    """The border, begun at the vertex that must be topmost for the face to stand upright.

    With the border on a circle the map turns as the border does, so one solution tells by how much
    it is turned where the surface looks to the front.
    """
    places = _border_places(points[border], 2.0)
    uv = _solve(_mean_value_weights(points, triangles), border, places)
    a, b, c = points[triangles].transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    front = normal[:, 2] > 0.5 * np.linalg.norm(normal, axis=1)
    if not front.any():
        return border
    # Rotations as complex numbers: edges as seen from the front against edges in the chart.
    seen = (points[triangles[front]] * (1, -1, 1))[..., :2] @ (1, 1j)
    chart = uv[triangles[front]] @ (1, 1j)
    turn = sum(
        (chart[:, i] - chart[:, i - 1]) * np.conj(seen[:, i] - seen[:, i - 1]) for i in range(3)
    )
    turn /= np.maximum(np.abs(turn), _TINY)
    angle = np.angle((turn * normal[front, 2]).sum())
    top = np.exp(1j * angle) * -1j  # where the top of the upright face is in the chart found
    return np.roll(border, -int((places @ (1, 1j) * np.conj(top)).real.argmax()))


def _border_places(points: NDArray, squareness: float) -> NDArray:
    """Points of a closed border ``(B, 3)`` on the superellipse of radius 1, by arc length from the
    top, and turning to low u: counter-clockwise as seen from outside.
    """
    steps = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)
    steps = np.maximum(steps, _TINY + 1e-3 * steps.mean())  # no two vertices on one place
    at = np.concatenate(([0], np.cumsum(steps)[:-1])) / steps.sum()
    angle = np.linspace(0, 2 * np.pi, 4097)
    sine, cosine = np.sin(angle), np.cos(angle)
    curve = np.stack(
        (
            -np.sign(sine) * np.abs(sine) ** (2 / squareness),
            -np.sign(cosine) * np.abs(cosine) ** (2 / squareness),
        ),
        1,
    )
    length = np.concatenate(([0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))))
    length /= length[-1]
    # Both halves are read from one, so that mirrored vertices get mirrored places.
    half = np.where(at <= 0.5, at, 1 - at)
    places = np.stack([np.interp(half, length, axis) for axis in curve.T], 1)
    places[at > 0.5, 0] *= -1
    return places


def _solve(weights: sparse.csr_matrix, fixed: NDArray, places: NDArray) -> NDArray:
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    free = np.setdiff1d(np.arange(weights.shape[0]), fixed)
    normalised = sparse.diags(1 / np.asarray(weights.sum(1)).ravel()) @ weights
    system = (sparse.identity(weights.shape[0]) - normalised).tocsr()[free]
    uv = np.empty((weights.shape[0], 2))
    uv[fixed] = places
    if len(free):
        uv[free] = spsolve(system[:, free].tocsc(), -(system[:, fixed] @ places))
    return uv


def _mean_value_weights(points: NDArray, triangles: NDArray) -> sparse.csr_matrix:
    """``(tan(a / 2) + tan(b / 2)) / length`` for the two angles beside each edge (Floater 2003)."""
    from scipy import sparse

    rows, columns, values = [], [], []
    for i in range(3):
        here, one, two = (triangles[:, (i + k) % 3] for k in range(3))
        a, b = points[one] - points[here], points[two] - points[here]
        la, lb = (np.maximum(np.linalg.norm(edge, axis=1), _TINY) for edge in (a, b))
        half = np.tan(0.5 * np.arccos(np.clip((a * b).sum(1) / (la * lb), -_STRAIGHT, _STRAIGHT)))
        rows += [here, here]
        columns += [one, two]
        values += [half / la, half / lb]
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_matrix(entries, (len(points), len(points)))


def _stretch(points: NDArray, uv: NDArray, triangles: NDArray) -> NDArray:
    """Length on the surface per length in the chart around each vertex."""
    a, b, c = points[triangles].transpose(1, 0, 2)
    surface = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    chart = np.abs(_signed_area(uv, triangles))
    around = [
        np.bincount(triangles.ravel(), np.repeat(area, 3), len(points)) for area in (surface, chart)
    ]
    return np.sqrt(np.maximum(around[0], _TINY) / np.maximum(around[1], _TINY))


def _signed_area(uv: NDArray, triangles: NDArray) -> NDArray:
    a, b, c = uv[triangles].transpose(1, 0, 2)
    return 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
