"""Vertex normals of a mesh."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import prepare, require_shape
from ._library import backend_of, launch, register
from .adjacency import Adjacency


def vertex_normals(vertices: Tensor, adjacency: Adjacency) -> Tensor:
    """Unit normals: the normals of the triangles around a vertex, weighted by area.

    Args:
        vertices: ``(N, V, 3)``.
        adjacency: of the mesh, from :func:`build_adjacency`; on the device of the vertices.

    Returns:
        ``(N, V, 3)``, pointing to the side from which the triangles appear counter-clockwise: out
        of the surface in model space, and in image space too, whose axes are a rotation of the
        model's. Zero where the weighted normals add up to less than 1e-12 (a vertex without
        triangles, or with degenerate ones only). NaN next to a vertex that is not finite.

    Gradients flow to the vertices; a zero normal passes none on.

    Raises:
        ValueError: for a wrong shape or an adjacency of another mesh or device.
    """
    op = "vertex_normals"
    require_shape(op, "vertices", vertices, "N, V, 3")
    if adjacency.vertex_count != vertices.shape[1]:
        raise ValueError(
            f"{op}: adjacency is of {adjacency.vertex_count} vertices, got {vertices.shape[1]}"
        )
    if adjacency.triangles.device != vertices.device:
        raise ValueError(
            f"{op}: adjacency is on {adjacency.triangles.device}, expected {vertices.device}"
        )
    normals, _ = _forward(*prepare(op, vertices=vertices), *adjacency)
    return normals


def _workspace(vertices: Tensor, triangles: Tensor) -> Tensor | None:
    if backend_of(vertices) != "cuda":
        return None
    return vertices.new_empty(vertices.shape[0], triangles.shape[0], 4)


def _outputs(vertices: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(vertices), vertices.new_empty(vertices.shape[:2])


def _forward_kernel(vertices, triangles, offsets, incident):
    normals, inverse_lengths = outputs = _outputs(vertices)
    launch(
        "vertex_normals_forward",
        *(vertices, triangles, offsets, incident, normals, inverse_lengths),
        *(_workspace(vertices, triangles), *vertices.shape[:2], triangles.shape[0]),
    )
    return outputs


def _backward_kernel(grad, vertices, triangles, offsets, incident, normals, inverse_lengths):
    grad_vertices = torch.empty_like(vertices)
    launch(
        "vertex_normals_backward",
        *(grad.contiguous(), vertices, triangles, offsets, incident, normals, inverse_lengths),
        *(grad_vertices, _workspace(vertices, triangles), *vertices.shape[:2], triangles.shape[0]),
    )
    return grad_vertices


def _setup(ctx, inputs, output):
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(*inputs, *output)


def _autograd(ctx, grad, _):
    return _backward(grad, *ctx.saved_tensors), None, None, None


_backward = register(
    "vertex_normals_backward(Tensor grad, Tensor vertices, Tensor triangles, Tensor offsets,"
    " Tensor incident, Tensor normals, Tensor inverse_lengths) -> Tensor",
    _backward_kernel,
    lambda grad, vertices, *_: torch.empty_like(vertices),
)
_forward = register(
    "vertex_normals(Tensor vertices, Tensor triangles, Tensor offsets, Tensor incident)"
    " -> (Tensor, Tensor)",
    _forward_kernel,
    lambda vertices, *_: _outputs(vertices),
    _autograd,
    _setup,
)
