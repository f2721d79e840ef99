"""Which vertices of a mesh are seen."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import prepare, prepare_triangles, require_shape
from ._library import launch, register


def vertex_visibility(
    vertices: Tensor, triangles: Tensor, depth: Tensor, tolerance: float = 1.0
) -> Tensor:
    """Which vertices are seen in a depth image of their mesh.

    A vertex is visible when it lies inside the image, some triangle that it belongs to faces the
    viewer, and its z is at most ``tolerance`` more than the depth of one of the four pixel centres
    around it (empty pixels are infinitely deep).

    Args:
        vertices: ``(N, V, 3)`` in image space: pixels, x right, y down, z into the scene.
        triangles: ``(T, 3)`` integers, counter-clockwise seen from outside the mesh, so that a
            triangle that faces the viewer has negative
            (x1 - x0) (y2 - y0) - (x2 - x0) (y1 - y0).
        depth: ``(N, H, W)``, from :func:`pgnface.ops.rasterize`.
        tolerance: in units of z. One pixel of depth for a weak-perspective camera suits meshes
            whose triangles are about a pixel large.

    Returns:
        ``(N, V)`` bool. Not differentiable. A vertex that is not finite is not visible.

    Raises:
        ValueError: for a wrong shape or a tolerance that is not a number.
        TypeError: for triangles that are not integers.
        IndexError: for a vertex index out of range, on the CPU. On CUDA such a triangle counts for
            nothing.
    """
    op = "vertex_visibility"
    require_shape(op, "vertices", vertices, "N, V, 3")
    require_shape(op, "depth", depth, "N, H, W", N=vertices.shape[0])
    if not tolerance == tolerance:
        raise ValueError(f"{op}: tolerance must be a number, got {tolerance}")
    vertices, depth = prepare(op, vertices=vertices.detach(), depth=depth.detach())
    return _forward(vertices, prepare_triangles(op, triangles, vertices), depth, tolerance)


def _kernel(vertices: Tensor, triangles: Tensor, depth: Tensor, tolerance: float) -> Tensor:
    visible = torch.zeros(vertices.shape[:2], dtype=torch.bool, device=vertices.device)
    launch(
        "vertex_visibility",
        *(vertices, triangles, depth, visible, float(tolerance)),
        *(*vertices.shape[:2], triangles.shape[0], *depth.shape[1:]),
    )
    return visible


_forward = register(
    "vertex_visibility(Tensor vertices, Tensor triangles, Tensor depth, float tolerance) -> Tensor",
    _kernel,
    lambda vertices, *_: vertices.new_empty(vertices.shape[:2], dtype=torch.bool),
)
