"""Rasterization of triangle meshes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._checks import prepare, prepare_triangles, require_shape
from ._library import backend_of, launch, register, scatter_workspace


class Fragments(NamedTuple):
    """What is seen at each pixel centre.

    Attributes:
        triangle_ids: ``(N, H, W)`` int32, -1 where nothing is drawn.
        barycentrics: ``(N, H, W, 2)`` weights of vertices 0 and 1 of that triangle; vertex 2 has
            what is missing to 1. Zeros where empty.
        depth: ``(N, H, W)``, z at the pixel centre; infinity where empty.
    """

    triangle_ids: Tensor
    barycentrics: Tensor
    depth: Tensor

    @property
    def mask(self) -> Tensor:
        """``(N, H, W)`` bool, true where a triangle is drawn."""
        return self.triangle_ids >= 0


def rasterize(vertices: Tensor, triangles: Tensor, height: int, width: int) -> Fragments:
    """Find the nearest triangle at each pixel centre.

    Coverage is exact: vertices are snapped to 1/256 pixel, edge functions are integers, and a
    centre on an edge belongs to the triangle with this edge at its top or left. Triangles that
    share an edge therefore draw each pixel once. The nearest triangle wins, at equal depth the one
    with the lower id. The result is the same for any number of threads, and the ids are the same
    on the CPU and on CUDA. Both windings are drawn.

    Args:
        vertices: ``(N, V, 3)`` in image space: pixels, x right, y down, z into the scene (smaller
            is nearer), the image's top-left corner at (0, 0), so that pixel centres lie at +0.5.
        triangles: ``(T, 3)`` integers. A triangle with a vertex that is not finite, or with a
            coordinate beyond 2^20, covers nothing.
        height, width: of the image, in pixels.

    Returns:
        :class:`Fragments`. Gradients flow from barycentrics and depth to the vertices. The weights
        are those of the vertices before snapping, clamped onto the simplex; a clamped weight
        passes no gradient, and neither does a triangle of less than 2^-17 square pixels. What
        changes at the outline of the mesh is the matter of :func:`pgnface.ops.edge_gradient`.

    Raises:
        ValueError: for a wrong shape or an image without pixels.
        TypeError: for triangles that are not integers.
        IndexError: for a vertex index out of range, on the CPU. On CUDA, where a check would wait
            for the device, such a triangle covers nothing.
    """
    require_shape("rasterize", "vertices", vertices, "N, V, 3")
    if height < 1 or width < 1:
        raise ValueError(
            f"rasterize: height and width must be at least 1, got {height} and {width}"
        )
    (vertices,) = prepare("rasterize", vertices=vertices)
    triangles = prepare_triangles("rasterize", triangles, vertices)
    barycentrics, depth, triangle_ids = _forward(vertices, triangles, height, width)
    return Fragments(triangle_ids, barycentrics, depth)


def _outputs(vertices: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    shape = (vertices.shape[0], height, width)
    return (
        vertices.new_empty(*shape, 2),
        vertices.new_empty(shape),
        vertices.new_empty(shape, dtype=torch.int32),
    )


def _forward_kernel(
    vertices: Tensor, triangles: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    barycentrics, depth, triangle_ids = outputs = _outputs(vertices, height, width)
    workspace = None
    if backend_of(vertices) == "cuda":
        # Depth and id of each pixel in one word, and the queue of large triangles.
        size = vertices.shape[0] * (height * width + triangles.shape[0]) + 2
        workspace = vertices.new_empty(size, dtype=torch.int64)
    launch(
        "rasterize_forward",
        *(vertices, triangles, triangle_ids, barycentrics, depth, workspace),
        *(*vertices.shape[:2], triangles.shape[0], height, width),
    )
    return outputs


def _backward_kernel(
    grad_barycentrics: Tensor | None,
    grad_depth: Tensor | None,
    vertices: Tensor,
    triangles: Tensor,
    triangle_ids: Tensor,
) -> Tensor:
    grad_vertices = torch.empty_like(vertices)
    launch(
        "rasterize_backward",
        None if grad_barycentrics is None else grad_barycentrics.contiguous(),
        None if grad_depth is None else grad_depth.contiguous(),
        *(vertices, triangles, triangle_ids, grad_vertices, scatter_workspace(grad_vertices)),
        *(*vertices.shape[:2], triangles.shape[0], *triangle_ids.shape[1:]),
    )
    return grad_vertices


def _setup(ctx, inputs, output):
    vertices, triangles, _, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(vertices, triangles, output[2])


def _autograd(ctx, grad_barycentrics, grad_depth, _):
    if grad_barycentrics is None and grad_depth is None:
        return None, None, None, None
    return _backward(grad_barycentrics, grad_depth, *ctx.saved_tensors), None, None, None


_backward = register(
    "rasterize_backward(Tensor? grad_barycentrics, Tensor? grad_depth, Tensor vertices,"
    " Tensor triangles, Tensor triangle_ids) -> Tensor",
    _backward_kernel,
    lambda grad_barycentrics, grad_depth, vertices, triangles, triangle_ids: torch.empty_like(
        vertices
    ),
)
_forward = register(
    "rasterize(Tensor vertices, Tensor triangles, SymInt height, SymInt width)"
    " -> (Tensor, Tensor, Tensor)",
    _forward_kernel,
    lambda vertices, triangles, height, width: _outputs(vertices, height, width),
    _autograd,
    _setup,
)
