"""The triangles around each vertex, computed once per mesh."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._checks import prepare_triangles


class Adjacency(NamedTuple):
    """Triangles of a mesh and, for each vertex, the corners at which it appears (CSR).

    Attributes:
        triangles: ``(T, 3)`` int32, every index in range.
        offsets: ``(V + 1,)`` int32; the corners of vertex v are
            ``incident[offsets[v] : offsets[v + 1]]``.
        incident: ``(3 * T,)`` int32 corners, ``3 * triangle + corner``, ascending for each vertex.
    """

    triangles: Tensor
    offsets: Tensor
    incident: Tensor

    @property
    def vertex_count(self) -> int:
        """Number of vertices of the mesh."""
        return self.offsets.shape[0] - 1


def build_adjacency(triangles: Tensor, vertex_count: int) -> Adjacency:
    """Sort the corners of a mesh by vertex, and check the triangles on the way.

    Args:
        triangles: ``(T, 3)`` integers; T may be 0.
        vertex_count: V.

    Returns:
        The adjacency, on the device of the triangles. On a GPU this waits for the device; keep the
        result with the mesh.

    Raises:
        TypeError: when the triangles are not integers.
        ValueError: for a wrong shape, a negative vertex count, or an index outside
            ``[0, vertex_count)``.
    """
    if vertex_count < 0:
        raise ValueError(f"build_adjacency: vertex_count must be at least 0, got {vertex_count}")
    # Checked before the cast to int32, which could wrap a wrong index into the range.
    if isinstance(triangles, Tensor) and triangles.numel():
        outside = (triangles < 0) | (triangles >= vertex_count)
        if outside.any():
            value = triangles[outside][0].item()
            raise ValueError(
                f"build_adjacency: triangles must index {vertex_count} vertices, "
                f"got the index {value}"
            )
    triangles = prepare_triangles("build_adjacency", triangles, like=triangles)
    corners = triangles.flatten()
    counts = torch.bincount(corners, minlength=vertex_count)
    offsets = torch.cat((counts.new_zeros(1), counts.cumsum(0)))
    return Adjacency(
        triangles, offsets.to(torch.int32), corners.argsort(stable=True).to(torch.int32)
    )
