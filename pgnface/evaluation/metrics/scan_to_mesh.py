"""Alignment of a mesh to a scan by the distances from the scan to the mesh.

:func:`.icp.icp` measures from what moves to what stays; here the mesh moves and is measured
against, so that a smaller mesh is not a better one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .alignment import IDENTITY, Alignment, align_along, align_points
from .surface import Surface, check_points

# A first alignment is made to this many points of the scan, which saves most of the time.
_FEW = 5000


class SurfaceFit(NamedTuple):
    """What :func:`align_surface` found.

    Attributes:
        alignment: of the mesh to the scan.
        distances: ``(N,)`` from the scan's points to the aligned mesh.
        iterations: steps taken with all points.
        converged: whether the error settled before the last permitted step.
    """

    alignment: Alignment
    distances: NDArray[np.float64]
    iterations: int
    converged: bool


def align_surface(
    surface: Surface,
    scan: ArrayLike,
    *,
    scale: bool = True,
    initial: Alignment = IDENTITY,
    iterations: int = 100,
    tolerance: float = 1e-4,
) -> SurfaceFit:
    """The alignment of a mesh that minimises the sum of squared distances from a scan to it.

    Gauss-Newton on the distances; where its step does not lower their mean square, the closed-form
    step of ICP, which cannot raise it.

    Args:
        surface: the mesh.
        scan: points ``(N, 3)``.
        scale: find a similarity rather than a rigid motion.
        initial: where to start; its scale is kept without ``scale``.
        iterations: largest number of steps.
        tolerance: stop when the root mean square distance falls by less than this fraction of
            itself.

    Raises:
        ValueError: for wrong shapes or fewer than six points.
    """
    scan = check_points("scan", scan)
    if len(scan) < 6:
        raise ValueError(f"scan: expected at least 6 points, got {len(scan)}")
    if len(scan) > 2 * _FEW:
        few = scan[:: len(scan) // _FEW]
        initial = _minimise(surface, few, scale, initial, iterations, tolerance).alignment
    return _minimise(surface, scan, scale, initial, iterations, tolerance)


def _minimise(surface, scan, scale, alignment, iterations, tolerance) -> SurfaceFit:
    state = _State(surface, scan, alignment)
    smallest = 1e-12 * np.abs(scan - scan.mean(0)).max()
    for taken in range(iterations):
        if state.error <= smallest:
            return SurfaceFit(state.alignment, state.distances, taken, True)
        step = align_along(state.nearest, scan, state.directions(), scale=scale)
        found = _State(surface, scan, step.after(state.alignment))
        if found.error >= state.error:
            step = align_points(state.nearest, scan, scale=scale)
            found = _State(surface, scan, step.after(state.alignment))
        settled = found.error >= state.error * (1 - tolerance)
        if found.error < state.error:
            state = found
        if settled:
            return SurfaceFit(state.alignment, state.distances, taken + 1, True)
    return SurfaceFit(state.alignment, state.distances, iterations, False)


class _State:
    """A placed mesh and the pairs of a scan's points and their nearest points on it."""

    def __init__(self, surface: Surface, scan: NDArray, alignment: Alignment) -> None:
        found = surface.nearest(alignment.inverse().apply(scan))
        self._surface, self._triangles = surface, found.triangles
        self.alignment = alignment
        self.nearest = alignment.apply(found.points)
        self._gaps = scan - self.nearest
        self.distances = found.distances * alignment.scale
        self.error = float(np.sqrt(np.mean(self.distances**2)))

    def directions(self) -> NDArray[np.float64]:
        """Unit vectors from the mesh to the scan; the mesh's normals where the two touch."""
        touching = self.distances <= 1e-6 * self.error
        directions = self._gaps / np.where(touching, 1, self.distances)[:, None]
        normals = self._surface.normals(self._triangles[touching])
        directions[touching] = normals @ self.alignment.rotation.T
        return directions
