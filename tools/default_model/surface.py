"""Triangle surfaces whose vertices are fixed linear combinations of control vertices.

As everything done to the mesh (subdivision, crop, patches) is linear in the control vertices, one
sparse operator holds it all, and applies to the mean, to identities and to expressions alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph


class Surface(NamedTuple):
    """``operator (V, B)`` turns control vertices into vertices; ``triangles (T, 3)``."""

    operator: sparse.csr_matrix
    triangles: np.ndarray


def catmull_clark(quads: np.ndarray, count: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """One Catmull-Clark step (Catmull and Clark 1978), with the cubic B-spline rule at borders.

    Args:
        quads: ``(Q, 4)`` ids below ``count``.
        count: control vertices; those that no quad uses are passed through.

    Returns:
        The operator ``(count + E + Q, count)`` and the new quads ``(4 Q, 4)``. Vertex points come
        first, then edge points, then face points.
    """
    faces = len(quads)
    sides = np.stack((quads, np.roll(quads, -1, axis=1)), -1)  # (Q, 4, 2)
    edges, side_edge, edge_faces = np.unique(
        np.sort(sides.reshape(-1, 2), axis=1), axis=0, return_inverse=True, return_counts=True
    )
    side_edge = side_edge.reshape(faces, 4)
    face_of = np.repeat(np.arange(faces), 4)

    def matrix(rows, columns, values, shape) -> sparse.csr_matrix:
        values = np.broadcast_to(values, np.shape(rows))
        return sparse.csr_matrix((values, (rows, columns)), shape=shape)

    face_points = matrix(face_of, quads.ravel(), 0.25, (faces, count))
    midpoints = matrix(np.repeat(np.arange(len(edges)), 2), edges.ravel(), 0.5, (len(edges), count))
    around = matrix(side_edge.ravel(), face_of, 0.5, (len(edges), faces)) @ face_points
    inner = sparse.diags((edge_faces == 2).astype(float))
    border = sparse.diags((edge_faces != 2).astype(float))
    edge_points = inner @ (0.5 * midpoints + 0.5 * around) + border @ midpoints

    # Vertex points: (mean of face points + 2 mean of edge midpoints + (k - 3) vertex) / k.
    valence = np.bincount(quads.ravel(), minlength=count).astype(float)
    on_border = np.zeros(count, bool)
    on_border[edges[edge_faces != 2]] = True
    smooth = (valence > 0) & ~on_border
    k = np.where(smooth, valence, 1.0)
    vertex_face = matrix(quads.ravel(), face_of, 1.0, (count, faces))
    vertex_edge = matrix(
        edges.ravel(), np.repeat(np.arange(len(edges)), 2), 1.0, (count, len(edges))
    )
    identity = sparse.identity(count)
    interior_rule = (
        sparse.diags(1 / k**2) @ (vertex_face @ face_points + 2 * vertex_edge @ midpoints)
        + sparse.diags((k - 3) / k) @ identity
    )
    border_rule = 0.5 * identity + 0.25 * (vertex_edge @ border @ midpoints)
    vertex_points = (
        sparse.diags(smooth.astype(float)) @ interior_rule
        + sparse.diags(on_border.astype(float)) @ border_rule
        + sparse.diags((valence == 0).astype(float)) @ identity
    )
    operator = sparse.vstack((vertex_points, edge_points, face_points)).tocsr()
    operator.eliminate_zeros()

    edge_ids, face_ids = count + side_edge, count + len(edges) + np.arange(faces)
    corners = [
        np.stack((quads[:, i], edge_ids[:, i], face_ids, edge_ids[:, i - 1]), 1) for i in range(4)
    ]
    return operator, np.concatenate(corners)


def split_quads(quads: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Triangles ``(2 Q, 3)`` of quads along their shorter diagonals, so that a mirror-symmetric
    mesh stays so.
    """
    a, b, c, d = quads.T
    first = np.linalg.norm(points[a] - points[c], axis=1)
    second = np.linalg.norm(points[b] - points[d], axis=1)
    one = np.where((first < second)[:, None], np.stack((a, b, c), 1), np.stack((a, b, d), 1))
    two = np.where((first < second)[:, None], np.stack((a, c, d), 1), np.stack((b, c, d), 1))
    return np.concatenate((one, two))


def largest_component(triangles: np.ndarray, count: int) -> np.ndarray:
    """The triangles of the largest connected piece."""
    links = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    graph = sparse.coo_matrix((np.ones(len(links)), tuple(links.T)), (count, count))
    label = csgraph.connected_components(graph, directed=False)[1][triangles[:, 0]]
    return triangles[label == np.bincount(label).argmax()]


def drop_unused(surface: Surface) -> tuple[Surface, np.ndarray]:
    """The surface without vertices that no triangle uses, and the old id of each vertex kept."""
    kept = np.unique(surface.triangles)
    renumbered = np.full(surface.operator.shape[0], -1)
    renumbered[kept] = np.arange(len(kept))
    return Surface(surface.operator[kept], renumbered[surface.triangles]), kept


def mirror_map(points: np.ndarray, tolerance: float = 1e-6) -> np.ndarray:
    """For each vertex of a mesh symmetric about x = 0 the vertex on the other side.

    Raises:
        ValueError: when the mesh is not symmetric.
    """
    from scipy.spatial import cKDTree

    distance, mirror = cKDTree(points).query(points * (-1, 1, 1))
    if distance.max() > tolerance or not np.array_equal(mirror[mirror], np.arange(len(points))):
        raise ValueError(f"the mesh is not symmetric: a vertex is {distance.max():g} mm off")
    return mirror
