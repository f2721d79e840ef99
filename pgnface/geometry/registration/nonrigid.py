"""Non-rigid ICP with the optimal step.

Amberg, Romdhani and Vetter, *Optimal Step Nonrigid ICP Algorithms for Surface Registration*, CVPR
2007. Arrays in, arrays out (NumPy, float64); lengths have the unit of the input.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from pgnface.evaluation.metrics import vertex_normals
from pgnface.evaluation.metrics.surface import check_mesh, check_points

from .matching import Target

#: From nearly rigid to soft; meant for faces of some thousand vertices.
STIFFNESS = (50.0, 20.0, 8.0, 3.0, 1.2, 0.5)
# Pull towards the last transformations: what no pair determines (a part of the mesh that touches
# no other and has no partner) stays as it is.
_DAMPING = 1e-6


def nonrigid_icp(
    source_vertices: ArrayLike,
    triangles: ArrayLike,
    target_vertices: ArrayLike,
    target_triangles: ArrayLike,
    *,
    landmarks: tuple[ArrayLike, ArrayLike] | None = None,
    landmark_weight: float = 1.0,
    stiffness: Sequence[float] = STIFFNESS,
    shear: float = 1.0,
    max_distance: float = np.inf,
    max_angle: float = 60.0,
    iterations: int = 5,
    tolerance: float = 1e-3,
) -> NDArray[np.float64]:
    """Bend a mesh onto another one that it already lies close to.

    Each vertex i has an affine map X_i (3 x 4). For falling stiffness a, the pairs of vertices and
    nearest target points u_i and the minimum of their eq. 10 are found in turn::

        sum_i w_i |X_i [v_i; 1] - u_i|^2 + a^2 sum_(i,j) |(X_i - X_j) diag(1, 1, 1, g)|^2
                                         + b sum_l |X_l [v_l; 1] - u_l|^2

    over the edges (i, j) and the landmarks l, a sparse linear system. Weights w_i are 1, and 0
    where :class:`.matching.Target` drops the pair. Both meshes are first brought to the size at
    which the source's coordinates reach from -1 to 1, so that stiffnesses need no unit. Vertices in
    no triangle stay where they are.

    Args:
        source_vertices, triangles: the mesh to bend, ``(V, 3)`` and ``(T, 3)``, counter-clockwise
            from outside.
        target_vertices, target_triangles: the mesh to reach, ``(V', 3)`` and ``(T', 3)``.
        landmarks: vertex ids ``(L,)`` of the source and where they belong, ``(L, 3)``.
        landmark_weight: b for the first stiffness; it falls in proportion to the stiffness, as
            landmarks matter less once the surfaces meet.
        stiffness: a, in the order used. The lower the last one is, the finer the detail that is
            followed, noise included. Meshes with many more vertices need proportionally less.
        shear: g, the weight of differing shifts against differing turns and stretches.
        max_distance: vertices further than this from the target follow their neighbours.
        max_angle: so do those whose normal differs from the target's by more than this, degrees.
        iterations: most steps at one stiffness.
        tolerance: the next stiffness begins when no vertex moves by more than this share of the
            source's half extent.

    Returns:
        ``(V, 3)`` the bent mesh's vertices.

    Raises:
        ValueError: for wrong shapes or options, or when no vertex has a partner on the target.
    """
    source, triangles = check_mesh(source_vertices, triangles)
    target_vertices, target_triangles = check_mesh(target_vertices, target_triangles)
    levels = _check_stiffness(stiffness)
    centre = (source.max(0) + source.min(0)) / 2
    size = np.abs(source - centre).max()
    if not size > 0:
        raise ValueError("source_vertices: expected a mesh of some extent, got one point")
    source = (source - centre) / size
    target = Target(
        (target_vertices - centre) / size,
        target_triangles,
        max_distance=max_distance / size,
        max_angle=max_angle,
    )
    ids, places = _check_landmarks(landmarks, len(source))
    places = (places - centre) / size
    stiff = _stiffness_term(triangles, len(source), shear)
    points = _homogeneous(source)
    maps = np.tile(np.eye(4, 3), (len(source), 1))
    moved = source
    for level in levels:
        weight = landmark_weight * level / levels[0]
        for _ in range(iterations):
            pairs = target.pair(moved, vertex_normals(moved, triangles))
            if not pairs.valid.any() and not len(ids):
                raise ValueError(
                    f"no vertex has a partner on the target: nearest distance "
                    f"{pairs.distances.min() * size:.3g}, max_distance {max_distance:g}, max_angle "
                    f"{max_angle:g}; do the meshes lie on each other?"
                )
            weights, goals = pairs.valid.astype(np.float64), pairs.valid[:, None] * pairs.points
            np.add.at(weights, ids, weight)
            np.add.at(goals, ids, weight * places)
            maps = _solve(stiff * level**2, points, weights, goals, maps)
            before, moved = moved, points @ maps
            if np.abs(moved - before).max() <= tolerance:
                break
    vertices = moved * size + centre
    unused = np.setdiff1d(np.arange(len(source)), triangles)
    vertices[unused] = np.asarray(source_vertices, np.float64)[unused]
    return vertices


def _solve(stiff, points, weights, goals, maps) -> NDArray[np.float64]:
    """The maps ``(4 V, 3)`` at the minimum, by the normal equations."""
    damping = sparse.identity(len(maps)) * _DAMPING
    matrix = stiff + points.T @ sparse.diags(weights) @ points + damping
    right = points.T @ goals + _DAMPING * maps
    # Positive definite, so no pivoting is needed and a symmetric ordering keeps the factors small.
    factors = splu(
        matrix.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return factors.solve(right)


def _stiffness_term(triangles: NDArray, count: int, shear: float) -> sparse.csr_matrix:
    """``(M kron G)^T (M kron G)``: the graph's Laplacian, once for each column of the maps."""
    edges = np.concatenate((triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]))
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    ones, rows = np.ones(len(edges)), np.arange(len(edges))
    incidence = sparse.coo_matrix(
        (np.r_[ones, -ones], (np.r_[rows, rows], edges.T.ravel())), shape=(len(edges), count)
    ).tocsr()
    return sparse.kron(incidence.T @ incidence, sparse.diags([1, 1, 1, shear**2]), format="csr")


def _homogeneous(vertices: NDArray[np.float64]) -> sparse.csr_matrix:
    """The matrix ``(V, 4 V)`` that applies each vertex's map to it."""
    count = len(vertices)
    values = np.hstack((vertices, np.ones((count, 1)))).ravel()
    return sparse.csr_matrix(
        (values, np.arange(4 * count), np.arange(0, 4 * count + 1, 4)), shape=(count, 4 * count)
    )


def _check_stiffness(stiffness: Sequence[float]) -> list[float]:
    levels = [float(level) for level in stiffness]
    if not levels or not all(np.isfinite(level) and level > 0 for level in levels):
        raise ValueError(f"stiffness must be numbers above 0, at least one, got {levels}")
    return levels


def _check_landmarks(landmarks, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    if landmarks is None:
        return np.zeros(0, np.int64), np.zeros((0, 3))
    ids, places = np.asarray(landmarks[0]), check_points("landmarks[1]", landmarks[1])
    if ids.dtype.kind not in "iu" or ids.shape != (len(places),):
        raise ValueError(
            f"landmarks[0] must be {len(places)} vertex ids as in landmarks[1], "
            f"got {ids.dtype} {ids.shape}"
        )
    if len(ids) and not 0 <= ids.min() <= ids.max() < count:
        raise ValueError(
            f"landmarks[0]: expected ids from 0 to {count - 1}, got {ids.min()} to {ids.max()}"
        )
    return ids.astype(np.int64), places
