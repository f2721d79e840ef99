"""Bilinear lookup of image colours at points."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import prepare, require_shape
from ._library import launch, register, scatter_workspace


def sample_colors(image: Tensor, points: Tensor) -> Tensor:
    """Colours of an image at points, bilinearly interpolated.

    Args:
        image: ``(N, C, H, W)``.
        points: ``(N, V, 2)`` or ``(N, V, 3)`` in image space: pixels, x right, y down, the image's
            top-left corner at (0, 0), so that pixel centres lie at +0.5. A third coordinate
            (depth) is ignored and gets a zero gradient, so posed vertices can be passed as they
            are.

    Returns:
        ``(N, V, C)`` colours. Outside the outermost pixel centres the border colour continues; a
        point that is not finite yields zeros.

    Gradients flow to the image and the points.

    Raises:
        ValueError: for a wrong shape or an image without pixels.
    """
    require_shape("sample_colors", "image", image, "N, C, H, W")
    require_shape(
        "sample_colors", "points", points, "N, V, D", N=image.shape[0], D=2 + (points.shape[-1] > 2)
    )
    if image.shape[2] == 0 or image.shape[3] == 0:
        raise ValueError(f"sample_colors: image must have pixels, got {tuple(image.shape)}")
    return _forward(*prepare("sample_colors", image=image, points=points))


def _sizes(image: Tensor, points: Tensor) -> tuple[int, ...]:
    return (*image.shape, points.shape[1], points.shape[2])


def _forward_kernel(image: Tensor, points: Tensor) -> Tensor:
    colors = image.new_empty(*points.shape[:2], image.shape[1])
    launch("sample_colors_forward", image, points, colors, *_sizes(image, points))
    return colors


def _backward_kernel(
    grad: Tensor, image: Tensor, points: Tensor, needs_image: bool, needs_points: bool
) -> tuple[Tensor, Tensor]:
    grad_image, grad_points = grads = _grads(image, points, needs_image, needs_points)
    launch(
        "sample_colors_backward",
        *(grad.contiguous(), image, points, grad_image if needs_image else None),
        *(grad_points if needs_points else None, scatter_workspace(grad_image)),
        *_sizes(image, points),
    )
    return grads


def _grads(
    image: Tensor, points: Tensor, needs_image: bool, needs_points: bool
) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(image) if needs_image else image.new_empty(0),
        torch.empty_like(points) if needs_points else points.new_empty(0),
    )


def _setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _autograd(ctx, grad):
    needs_image, needs_points = ctx.needs_input_grad
    grad_image, grad_points = _backward(grad, *ctx.saved_tensors, needs_image, needs_points)
    return grad_image if needs_image else None, grad_points if needs_points else None


_backward = register(
    "sample_colors_backward(Tensor grad, Tensor image, Tensor points, bool needs_image,"
    " bool needs_points) -> (Tensor, Tensor)",
    _backward_kernel,
    lambda grad, image, points, first, second: _grads(image, points, first, second),
)
_forward = register(
    "sample_colors(Tensor image, Tensor points) -> Tensor",
    _forward_kernel,
    lambda image, points: image.new_empty(points.shape[0], points.shape[1], image.shape[1]),
    _autograd,
    _setup,
)
