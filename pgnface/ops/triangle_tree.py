"""A tree over the triangles of a mesh, built once for many searches."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._checks import prepare, prepare_triangles, require_shape
from ._library import launch, register

_WIDTH = 8  # triangles of a leaf, children of an inner node
LARGEST = {torch.float32: 1e9, torch.float64: 1e70}
"""Absolute values of coordinates beyond which points and triangles count for nothing."""


class TriangleTree(NamedTuple):
    """A packed Hilbert R-tree (Kamel and Faloutsos, VLDB 1994) of the triangles of ``N`` meshes.

    Attributes:
        order: ``(N, T)`` int32 triangles along a Hilbert curve; each leaf holds the next eight.
        corners: ``(N, leaves, 9, 8)`` of a leaf's triangles.
        discs: ``(N, inner nodes, 8, 8)`` that enclose a node's children.
    """

    order: Tensor
    corners: Tensor
    discs: Tensor


def build_triangle_tree(vertices: Tensor, triangles: Tensor) -> TriangleTree:
    """Sort the triangles of a mesh for :func:`pgnface.ops.closest_point`.

    Args:
        vertices: ``(V, 3)``, or ``(N, V, 3)``.
        triangles: ``(T, 3)`` integers.

    Returns:
        The tree of these very vertices: once they move, it is useless. A search that is given none
        builds its own; keep one where several searches see the same mesh.

    Raises:
        ValueError: for a wrong shape.
        TypeError: for triangles that are not integers.
        IndexError: for a vertex index out of range, on the CPU. On CUDA such a triangle counts for
            nothing.
    """
    op = "closest_point"
    if isinstance(vertices, Tensor) and vertices.dim() == 2:
        vertices = vertices[None]
    require_shape(op, "vertices", vertices, "N, V, 3")
    (vertices,) = prepare(op, vertices=vertices.detach())
    return TriangleTree(*_build(vertices, prepare_triangles(op, triangles, vertices)))


def require_tree(op: str, tree: TriangleTree, vertices: Tensor, triangles: Tensor) -> None:
    """Check that a tree may be one of ``(N, V, 3)`` vertices and ``(T, 3)`` triangles.

    Raises:
        ValueError: when it is of other numbers of meshes or triangles, another precision or device.
    """
    expected = _outputs(vertices.to("meta"), triangles.to("meta"))
    for name, given, like in zip(TriangleTree._fields, tree, expected, strict=True):
        require_shape(op, f"tree.{name}", given, ", ".join(map(str, like.shape)))
        if given.dtype != like.dtype or given.device != vertices.device:
            raise ValueError(
                f"{op}: tree.{name} must be {like.dtype} on {vertices.device}, as the mesh is, got "
                f"{given.dtype} on {given.device}"
            )


def _outputs(vertices: Tensor, triangles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    batch, count = vertices.shape[0], triangles.shape[0]
    leaves = -(-count // _WIDTH)
    inner = -(-(leaves - 1) // (_WIDTH - 1)) if leaves > 1 else leaves
    return (
        triangles.new_empty(batch, count),
        vertices.new_empty(batch, leaves, 9, _WIDTH),
        vertices.new_empty(batch, inner, 8, _WIDTH),
    )


def _kernel(vertices: Tensor, triangles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    codes, corners, discs = _outputs(vertices, triangles)
    sizes = *vertices.shape[:2], triangles.shape[0]
    launch("triangle_codes", vertices, triangles, _bounds(vertices), codes, *sizes)
    order = codes.argsort(dim=1, stable=True).to(torch.int32)
    launch("triangle_discs", vertices, triangles, order, corners, discs, *sizes)
    return order, corners, discs


def _bounds(vertices: Tensor) -> Tensor:
    """Lowest corner and longest side of the box of the usable vertices: ``(N, 4)``."""
    if vertices.numel() == 0:
        return vertices.new_zeros(vertices.shape[0], 4)
    usable = (vertices.abs() <= LARGEST[vertices.dtype]).all(-1, keepdim=True)
    low = vertices.where(usable, torch.inf).amin(1)
    high = vertices.where(usable, -torch.inf).amax(1)
    return torch.cat((low, (high - low).amax(1, keepdim=True)), 1)


_build = register(
    "triangle_tree(Tensor vertices, Tensor triangles) -> (Tensor, Tensor, Tensor)",
    _kernel,
    _outputs,
)
