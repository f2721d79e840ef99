"""The points of a mesh that are nearest to given points."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._checks import prepare, prepare_triangles, require_shape
from ._library import launch, register, scatter_workspace
from .triangle_tree import TriangleTree, build_triangle_tree, require_tree


class ClosestPoints(NamedTuple):
    """What :func:`closest_point` found for ``(N, P)`` points.

    Attributes:
        distances: ``(N, P)``.
        points: ``(N, P, 3)`` on the surface.
        triangle_ids: ``(N, P)`` int32, -1 where there is none.
        barycentrics: ``(N, P, 3)`` weights of the triangle's corners. Those of the corners that do
            not touch the edge or vertex on which the point lies are exactly 0.
    """

    distances: Tensor
    points: Tensor
    triangle_ids: Tensor
    barycentrics: Tensor


def closest_point(
    points: Tensor, vertices: Tensor, triangles: Tensor, tree: TriangleTree | None = None
) -> ClosestPoints:
    """The nearest points of a triangle mesh, wherever they lie on its triangles.

    Exact for every distance. Of triangles that are equally near (those around the edge or vertex on
    which the point lies) the one of the lowest number is found.

    Args:
        points: ``(N, P, 3)``.
        vertices: ``(N, V, 3)``; or ``(V, 3)`` for all points, which may then have any shape
            ``(..., 3)``.
        triangles: ``(T, 3)`` integers.
        tree: from :func:`build_triangle_tree` for these very vertices; built where there is none.

    Returns:
        Distances, points, triangles and barycentrics, of the shape of the points without its last
        axis. Where a point is not finite or the mesh has no triangle, the distance is infinite, the
        triangle -1 and the rest 0, without gradients. So count for nothing points and triangles
        with coordinates beyond 1e9 (float64: 1e70).

    Gradients of distances, points and barycentrics flow to the points and the vertices, for the
    triangle that was found. The distance of a point on the surface has none.

    Raises:
        ValueError: for a wrong shape, or a tree of another mesh as far as its sizes tell.
        TypeError: for triangles that are not integers.
        IndexError: for a vertex index out of range, on the CPU. On CUDA such a triangle counts for
            nothing.
    """
    op = "closest_point"
    shared = isinstance(vertices, Tensor) and vertices.dim() == 2
    shape = None
    if shared and isinstance(points, Tensor) and points.dim() > 0 and points.shape[-1] == 3:
        shape = points.shape[:-1]
        points, vertices = points.reshape(1, -1, 3), vertices[None]
    require_shape(op, "vertices", vertices, "V, 3" if shared and shape is None else "N, V, 3")
    require_shape(op, "points", points, "N, P, 3", N=vertices.shape[0])
    points, vertices = prepare(op, points=points, vertices=vertices)
    triangles = prepare_triangles(op, triangles, vertices)
    if tree is None:
        tree = build_triangle_tree(vertices, triangles)
    else:
        require_tree(op, tree, vertices, triangles)
    found = ClosestPoints(*_forward(points, vertices, triangles, *(t.contiguous() for t in tree)))
    if shape is None:
        return found
    return ClosestPoints(*(value.reshape((*shape, *value.shape[2:])) for value in found))


def _sizes(points: Tensor, vertices: Tensor, triangles: Tensor) -> tuple[int, ...]:
    return *points.shape[:2], vertices.shape[1], triangles.shape[0]


def _outputs(points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    shape = points.shape[:2]
    return (
        points.new_empty(shape),
        torch.empty_like(points),
        points.new_empty(shape, dtype=torch.int32),
        torch.empty_like(points),
    )


def _forward_kernel(points, vertices, triangles, order, corners, discs):
    outputs = _outputs(points)
    launch(
        "closest_point_forward",
        *(points, vertices, triangles, order, corners, discs, *outputs),
        *_sizes(points, vertices, triangles),
    )
    return outputs


def _backward_kernel(
    grad_distances, grad_closest, grad_barycentrics,
    points, vertices, triangles, triangle_ids, barycentrics, needs_points, needs_vertices,
):  # fmt: skip
    grad_points, grad_vertices = grads = _grads(points, vertices, needs_points, needs_vertices)
    launch(
        "closest_point_backward",
        *(grad.contiguous() for grad in (grad_distances, grad_closest, grad_barycentrics)),
        *(points, vertices, triangles, triangle_ids, barycentrics),
        *(grad_points if needs_points else None, grad_vertices if needs_vertices else None),
        *(scatter_workspace(grad_vertices), *_sizes(points, vertices, triangles)),
    )
    return grads


def _grads(
    points: Tensor, vertices: Tensor, needs_points: bool, needs_vertices: bool
) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(points) if needs_points else points.new_empty(0),
        torch.empty_like(vertices) if needs_vertices else vertices.new_empty(0),
    )


def _setup(ctx, inputs, output):
    _, _, triangle_ids, barycentrics = output
    ctx.mark_non_differentiable(triangle_ids)
    ctx.save_for_backward(*inputs[:3], triangle_ids, barycentrics)


def _autograd(ctx, grad_distances, grad_closest, _, grad_barycentrics):
    needs = ctx.needs_input_grad[:2]
    grads = _backward(grad_distances, grad_closest, grad_barycentrics, *ctx.saved_tensors, *needs)
    given = (grad if need else None for grad, need in zip(grads, needs, strict=True))
    return *given, None, None, None, None


_backward = register(
    "closest_point_backward(Tensor grad_distances, Tensor grad_closest, Tensor grad_barycentrics,"
    " Tensor points, Tensor vertices, Tensor triangles, Tensor triangle_ids, Tensor barycentrics,"
    " bool needs_points, bool needs_vertices) -> (Tensor, Tensor)",
    _backward_kernel,
    lambda _0, _1, _2, points, vertices, _3, _4, _5, *needs: _grads(points, vertices, *needs),
)
_forward = register(
    "closest_point(Tensor points, Tensor vertices, Tensor triangles, Tensor order, Tensor corners,"
    " Tensor discs) -> (Tensor, Tensor, Tensor, Tensor)",
    _forward_kernel,
    lambda points, *_: _outputs(points),
    _autograd,
    _setup,
)
