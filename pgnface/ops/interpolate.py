"""Vertex attributes at the pixels of a rasterized mesh."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import prepare, prepare_triangles, require_shape
from ._library import launch, register, scatter_workspace
from .rasterize import Fragments


def interpolate(attributes: Tensor, triangles: Tensor, fragments: Fragments) -> Tensor:
    """Attributes of vertices (colours, texture coordinates, normals) at each pixel.

    The value is b0 a0 + b1 a1 + (1 - b0 - b1) a2, with a the attributes of the triangle's vertices
    and b the barycentric weights.

    Args:
        attributes: ``(N, V, C)``, or ``(V, C)`` shared by all images.
        triangles: ``(T, 3)`` integers, those that were rasterized.
        fragments: from :func:`pgnface.ops.rasterize`.

    Returns:
        ``(N, H, W, C)``, zeros where the image is empty. Gradients flow to the attributes and, by
        the barycentrics, to the vertices.

    Raises:
        ValueError: for a wrong shape.
        TypeError: for triangles or ids that are not integers.
        IndexError: for a vertex index out of range, on the CPU. On CUDA such a triangle counts as
            empty. So does, on both, an id that names no triangle.
    """
    op = "interpolate"
    triangle_ids, barycentrics, _ = fragments
    require_fragments(op, fragments)
    if attributes.dim() == 2:
        require_shape(op, "attributes", attributes, "V, C")
    else:
        require_shape(op, "attributes", attributes, "N, V, C", N=triangle_ids.shape[0])
    attributes, barycentrics = prepare(op, attributes=attributes, barycentrics=barycentrics)
    triangles = prepare_triangles(op, triangles, attributes)
    return _forward(attributes, triangles, triangle_ids.contiguous(), barycentrics)


def require_fragments(op: str, fragments: Fragments) -> None:
    """Check the shapes of fragments against each other, and the dtype of the ids.

    Raises:
        TypeError: when the ids are not int32.
        ValueError: when a shape differs.
    """
    triangle_ids, barycentrics, depth = fragments
    require_shape(op, "fragments.triangle_ids", triangle_ids, "N, H, W")
    sizes = dict(zip("NHW", triangle_ids.shape, strict=True))
    require_shape(op, "fragments.barycentrics", barycentrics, "N, H, W, 2", **sizes)
    require_shape(op, "fragments.depth", depth, "N, H, W", **sizes)
    if triangle_ids.dtype != torch.int32:
        raise TypeError(f"{op}: fragments.triangle_ids must be int32, got {triangle_ids.dtype}")
    if triangle_ids.device != barycentrics.device:
        raise ValueError(
            f"{op}: fragments.triangle_ids are on {triangle_ids.device}, but "
            f"fragments.barycentrics on {barycentrics.device}"
        )


def _sizes(attributes: Tensor, triangles: Tensor, triangle_ids: Tensor) -> tuple[int, ...]:
    batch, height, width = triangle_ids.shape
    if attributes.dim() == 2:  # shared attributes: one image that holds the rows of all
        batch, height = 1, batch * height
    return batch, *attributes.shape[-2:], triangles.shape[0], height, width


def _forward_kernel(
    attributes: Tensor, triangles: Tensor, triangle_ids: Tensor, barycentrics: Tensor
) -> Tensor:
    values = attributes.new_empty(*triangle_ids.shape, attributes.shape[-1])
    launch(
        "interpolate_forward",
        *(attributes, triangles, triangle_ids, barycentrics, values),
        *_sizes(attributes, triangles, triangle_ids),
    )
    return values


def _backward_kernel(
    grad: Tensor,
    attributes: Tensor,
    triangles: Tensor,
    triangle_ids: Tensor,
    barycentrics: Tensor,
    needs_attributes: bool,
    needs_barycentrics: bool,
) -> tuple[Tensor, Tensor]:
    grad_attributes, grad_barycentrics = grads = _grads(
        attributes, barycentrics, needs_attributes, needs_barycentrics
    )
    launch(
        "interpolate_backward",
        *(grad.contiguous(), attributes, triangles, triangle_ids, barycentrics),
        grad_attributes if needs_attributes else None,
        grad_barycentrics if needs_barycentrics else None,
        scatter_workspace(grad_attributes),
        *_sizes(attributes, triangles, triangle_ids),
    )
    return grads


def _grads(
    attributes: Tensor, barycentrics: Tensor, needs_attributes: bool, needs_barycentrics: bool
) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(attributes) if needs_attributes else attributes.new_empty(0),
        torch.empty_like(barycentrics) if needs_barycentrics else barycentrics.new_empty(0),
    )


def _setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _autograd(ctx, grad):
    needs_attributes, _, _, needs_barycentrics = ctx.needs_input_grad
    grad_attributes, grad_barycentrics = _backward(
        grad, *ctx.saved_tensors, needs_attributes, needs_barycentrics
    )
    return (
        grad_attributes if needs_attributes else None,
        None,
        None,
        grad_barycentrics if needs_barycentrics else None,
    )


_backward = register(
    "interpolate_backward(Tensor grad, Tensor attributes, Tensor triangles, Tensor triangle_ids,"
    " Tensor barycentrics, bool needs_attributes, bool needs_barycentrics) -> (Tensor, Tensor)",
    _backward_kernel,
    lambda grad, attributes, triangles, triangle_ids, barycentrics, first, second: _grads(
        attributes, barycentrics, first, second
    ),
)
_forward = register(
    "interpolate(Tensor attributes, Tensor triangles, Tensor triangle_ids, Tensor barycentrics)"
    " -> Tensor",
    _forward_kernel,
    lambda attributes, triangles, triangle_ids, barycentrics: attributes.new_empty(
        *triangle_ids.shape, attributes.shape[-1]
    ),
    _autograd,
    _setup,
)
