"""Alignment of meshes and point clouds without known correspondence.

Iterative closest points (Besl and McKay, PAMI 1992) with the point-to-plane step of Chen and
Medioni (1992) and the trimming of Chetverikov et al. (2002).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from .alignment import IDENTITY, Alignment, align_along, align_points
from .surface import Surface, check_points


class IcpResult(NamedTuple):
    """What :func:`icp` found.

    Attributes:
        alignment: of the source to the target.
        distances: ``(N,)`` from the aligned points to their nearest points of the target.
        points: ``(N, 3)`` those nearest points.
        kept: ``(N,)`` whether a point took part in the last step.
        iterations: steps taken.
        converged: whether the error settled before the last permitted step.
    """

    alignment: Alignment
    distances: NDArray[np.float64]
    points: NDArray[np.float64]
    kept: NDArray[np.bool_]
    iterations: int
    converged: bool


def icp(
    source: ArrayLike,
    target: ArrayLike | Surface,
    triangles: ArrayLike | None = None,
    *,
    scale: bool = False,
    metric: Literal["point", "plane"] = "point",
    normals: ArrayLike | None = None,
    trim: float = 0.0,
    max_distance: float = np.inf,
    initial: Alignment = IDENTITY,
    iterations: int = 100,
    tolerance: float = 1e-7,
) -> IcpResult:
    """Move points onto a target of another topology, from a start that is roughly right.

    Each step pairs every point with the nearest point of the target, then minimises over the pairs
    that are kept ``sum |q - s R p - t|^2`` (``metric="point"``, closed form) or, with the normal n
    at q, ``sum (n . (q - s R p - t))^2`` (``"plane"``, linearised in the rotation and in log s).

    Args:
        source: points ``(N, 3)``.
        target: a :class:`Surface`, or points ``(M, 3)``; the vertices of a mesh where ``triangles``
            are given.
        triangles: ``(T, 3)``: pairs are then with the nearest points of the surface.
        scale: find a similarity rather than a rigid motion. From partial overlap a similarity can
            shrink the source; align landmarks first and trim.
        metric: what is minimised.
        normals: ``(M, 3)`` of target points without triangles, for ``metric="plane"``.
        trim: fraction of the pairs, those of the largest distance, left out of each step.
        max_distance: pairs further apart than this are left out too.
        initial: where to start.
        iterations: largest number of steps.
        tolerance: stop when the root mean square of the kept distances changes by no more than this
            fraction of the source's size (root mean square distance from its mean).

    Raises:
        ValueError: for wrong shapes or options, or when fewer than six pairs are kept.
    """
    source = check_points("source", source)
    if not 0 <= trim < 1:
        raise ValueError(f"trim must be at least 0 and less than 1, got {trim}")
    if metric not in ("point", "plane"):
        raise ValueError(f"metric must be 'point' or 'plane', got {metric!r}")
    nearest = _matcher(target, triangles, normals, metric == "plane")
    settled = tolerance * initial.scale * np.sqrt(source.var(0).sum())
    alignment, error, taken = initial, np.inf, 0
    while True:
        moved = alignment.apply(source)
        distances, points, directions = nearest(moved)
        kept = _keep(distances, trim, max_distance)
        before, error = error, float(np.sqrt(np.mean(distances[kept] ** 2)))
        converged = bool(abs(before - error) <= settled)
        if converged or taken == iterations:
            return IcpResult(alignment, distances, points, kept, taken, converged)
        if metric == "point":
            alignment = align_points(source[kept], points[kept], scale=scale)
        else:
            step = align_along(moved[kept], points[kept], directions[kept], scale=scale)
            alignment = step.after(alignment)
        taken += 1


def _matcher(target, triangles, normals, with_normals: bool):
    """A function from points to distances, nearest points of the target and normals there."""
    if triangles is not None:
        target = Surface(target, triangles)
    if isinstance(target, Surface):

        def on_surface(points):
            found = target.nearest(points)
            directions = target.normals(found.triangles) if with_normals else None
            return found.distances, found.points, directions

        return on_surface
    target = check_points("target", target)
    if normals is not None:
        normals = check_points("normals", normals)
        if normals.shape != target.shape:
            raise ValueError(f"normals must have shape {target.shape}, got {normals.shape}")
    elif with_normals:
        raise ValueError("metric 'plane' needs triangles or normals of the target")
    if not len(target):
        raise ValueError("target: expected at least one point, got none")
    tree = cKDTree(target)

    def on_points(points):
        distances, index = tree.query(points, workers=-1)
        return distances, target[index], None if normals is None else normals[index]

    return on_points


def _keep(distances: NDArray, trim: float, max_distance: float) -> NDArray[np.bool_]:
    """The pairs that take part in a step."""
    kept = distances <= max_distance
    if trim > 0 and kept.any():
        # By rank rather than by a quantile, so that equal distances are not all kept.
        order = np.argsort(distances, kind="stable")
        kept[order[len(order) - int(trim * len(order)) :]] = False
    if kept.sum() < 6:
        raise ValueError(
            f"expected at least 6 points near the target, got {int(kept.sum())} of {len(distances)}"
            f" (max_distance {max_distance:g}, trim {trim:g}); is the start roughly right?"
        )
    return kept
