"""Texture coordinates: an injective map of the surface onto a rounded square."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from .surface import border_loops

_MARGIN = 0.02
_SQUARENESS = 4.0  # exponent of the superellipse; strictly convex, as Tutte's theorem asks
_ROUNDS = 4
_RATE = 0.5


def flatten(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Texture coordinates ``(V, 2)`` in [margin, 1 - margin], u to the subject's left, v down.

    A convex-combination map (Tutte 1963; Floater 2003) with the border on a superellipse: each
    inner vertex is a positive mean of its neighbours, which makes the map injective. Mean value
    weights start it; dividing them by the local stretch a few times evens the scale out
    (Yoshizawa, Belyaev and Seidel 2004) and keeps them positive.

    Args:
        points: ``(V, 3)`` neutral vertices of a disk-shaped surface.
        triangles: ``(T, 3)``.
    """
    border = border_loops(triangles)
    if len(border) != 1:
        raise ValueError(f"expected a surface with one border, got {len(border)}")
    on_border, places = _border_places(points, border[0])
    count = len(points)
    free = np.setdiff1d(np.arange(count), on_border)
    weights = _mean_value_weights(points, triangles)
    for _ in range(_ROUNDS):
        uv = _solve(weights, free, on_border, places)
        stretch = _stretch(points, uv, triangles)
        weights = weights @ sparse.diags((stretch / stretch.mean()) ** -_RATE)
    return _solve(weights, free, on_border, places)


def spread_rings(uv: np.ndarray, points: np.ndarray, rings: list[np.ndarray]) -> np.ndarray:
    """Texture coordinates with the rings of an eye placed as they look from the front.

    A general map squeezes a narrow patch that has many rings; here an iris must stay round.

    Args:
        uv, points: ``(V, 2)`` and ``(V, 3)``.
        rings: ids of the border's ring, the inner rings and the centre vertex.
    """
    loop, *inner, center = rings
    design = np.concatenate((points[loop, :2], np.ones((len(loop), 1))), axis=1)
    affine = np.linalg.lstsq(design, uv[loop], rcond=None)[0]
    middle = np.append(points[center[0], :2], 1) @ affine
    reach = np.linalg.norm(points[loop, :2] - points[center, :2], axis=1)
    uv = uv.copy()
    uv[center] = middle
    for ring in inner:
        part = np.linalg.norm(points[ring, :2] - points[center, :2], axis=1) / reach
        uv[ring] = middle + part[:, None] * (uv[loop] - middle)
    return uv


def overlap(uv: np.ndarray, triangles: np.ndarray) -> float:
    """The part of the chart's area in triangles that are flipped: 0 for an injective map."""
    area = _signed_area(uv, triangles)
    # v points down, so that outward triangles turn clockwise.
    return float(np.clip(area, 0, None).sum() / np.abs(area).sum())


def _border_places(points: np.ndarray, loop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The border's vertices on the superellipse, by arc length from the top of the midline."""
    top = int(np.lexsort((-points[loop, 1], np.abs(points[loop, 0]) > 1e-6))[0])
    loop = np.roll(loop, -top)
    steps = np.linalg.norm(points[np.roll(loop, -1)] - points[loop], axis=1)
    at = np.concatenate(([0], np.cumsum(steps)[:-1])) / steps.sum()
    angle = np.linspace(0, 2 * np.pi, 4097)
    # Starts at the top and turns as the loop does: to the subject's right, that is to low u.
    sine, cosine = np.sin(angle), np.cos(angle)
    curve = np.stack(
        (
            -np.sign(sine) * np.abs(sine) ** (2 / _SQUARENESS),
            -np.sign(cosine) * np.abs(cosine) ** (2 / _SQUARENESS),
        ),
        1,
    )
    length = np.concatenate(([0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))))
    length /= length[-1]
    # Both halves are read from one, so that mirrored vertices get mirrored places.
    half = np.where(at <= 0.5, at, 1 - at)
    places = np.stack([np.interp(half, length, axis) for axis in curve.T], 1)
    places[at > 0.5, 0] *= -1
    return loop, 0.5 + (0.5 - _MARGIN) * places


def _solve(
    weights: sparse.csr_matrix, free: np.ndarray, fixed: np.ndarray, places: np.ndarray
) -> np.ndarray:
    normalised = sparse.diags(1 / np.asarray(weights.sum(1)).ravel()) @ weights
    system = (sparse.identity(weights.shape[0]) - normalised).tocsr()[free]
    uv = np.empty((weights.shape[0], 2))
    uv[fixed] = places
    uv[free] = spsolve(system[:, free].tocsc(), -(system[:, fixed] @ places))
    return uv


def _mean_value_weights(points: np.ndarray, triangles: np.ndarray) -> sparse.csr_matrix:
    """``(tan(a / 2) + tan(b / 2)) / length`` for the two angles beside each edge (Floater 2003)."""
    rows, columns, values = [], [], []
    for i in range(3):
        here, one, two = (triangles[:, (i + k) % 3] for k in range(3))
        a, b = points[one] - points[here], points[two] - points[here]
        la, lb = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        half = np.tan(0.5 * np.arccos(np.clip((a * b).sum(1) / (la * lb), -1, 1)))
        rows += [here, here]
        columns += [one, two]
        values += [half / la, half / lb]
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_matrix(entries, (len(points), len(points)))


def _stretch(points: np.ndarray, uv: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Length on the surface per length in the chart around each vertex."""
    a, b, c = points[triangles].transpose(1, 0, 2)
    surface = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    chart = np.abs(_signed_area(uv, triangles))
    around = [
        np.bincount(triangles.ravel(), np.repeat(area, 3), len(points)) for area in (surface, chart)
    ]
    return np.sqrt(around[0] / around[1])


def _signed_area(uv: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = uv[triangles].transpose(1, 0, 2)
    return 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
