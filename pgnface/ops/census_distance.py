"""How differently two images order the brightness of neighbouring pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import prepare, require_shape
from ._library import launch, register


def census_distance(
    image: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    radius: int = 2,
    contrast: float = 0.02,
) -> Tensor:
    """Soft Hamming distance between the soft census transforms of two images, by pixel.

    A pixel is described by the signs of its differences to the others in a window (Zabih and
    Woodfill, ECCV 1994), which no change of brightness or gain alters. Both steps are made smooth
    as in UnFlow (Meister et al., AAAI 2018): a sign is ``d / sqrt(contrast^2 + d^2)``, and two of
    them that differ by ``e`` are ``e^2 / (0.1 + e^2)`` apart, of which the mean is taken.

    Args:
        image: ``(N, H, W)`` brightness.
        target: ``(N, H, W)``.
        mask: ``(N, H, W)``, positive where pixels are to be compared; all when missing.
        radius: the window has side ``2 * radius + 1``.
        contrast: differences well below it count as equal; in units of the brightness.

    Returns:
        ``(N, H, W)`` in [0, 1). 0 outside the mask and where the window leaves the image. Gradients
        flow to image and target.

    Raises:
        ValueError: for a wrong shape, a radius below 1 or a contrast that is not positive.
        TypeError: for tensors that are not floating point or of different dtypes, or a radius that
            is not an int.
    """
    op = "census_distance"
    require_shape(op, "image", image, "N, H, W")
    sizes = dict(zip("NHW", image.shape, strict=True))
    require_shape(op, "target", target, "N, H, W", **sizes)
    if mask is not None:
        require_shape(op, "mask", mask, "N, H, W", **sizes)
    if not isinstance(radius, int):
        raise TypeError(f"{op}: radius must be an int, got {radius!r}")
    if radius < 1:
        raise ValueError(f"{op}: radius must be at least 1, got {radius}")
    if not contrast > 0:
        raise ValueError(f"{op}: contrast must be positive, got {contrast}")
    image, target, mask = prepare(op, image=image, target=target, mask=mask)
    return _forward(image, target, mask, radius, contrast)


def _forward_kernel(image, target, mask, radius, contrast):
    distance = torch.empty_like(image)
    launch(
        "census_distance_forward",
        *(image, target, mask, distance, *image.shape, radius, contrast),
    )
    return distance


def _empty_gradients(image, target, needs_target):
    return torch.empty_like(image), torch.empty_like(target if needs_target else target[:0])


def _backward_kernel(grad, image, target, mask, radius, contrast, needs_target):
    grad = grad.contiguous()
    # What is not compared has a constant distance of 0.
    inside = torch.zeros_like(grad)
    centre = (..., slice(radius, -radius), slice(radius, -radius))
    inside[centre] = grad[centre] if mask is None else torch.where(mask > 0, grad, 0)[centre]
    gradients = _empty_gradients(image, target, needs_target)
    launch(
        "census_distance_backward",
        *(inside, image, target, gradients[0], gradients[1] if needs_target else None),
        *(*image.shape, radius, contrast),
    )
    return gradients


def _setup(ctx, inputs, output):
    *tensors, ctx.radius, ctx.contrast = inputs
    ctx.save_for_backward(*tensors)


def _autograd(ctx, grad):
    needs_target = ctx.needs_input_grad[1]
    grad_image, grad_target = _backward(
        grad, *ctx.saved_tensors, ctx.radius, ctx.contrast, needs_target
    )
    return grad_image, grad_target if needs_target else None, None, None, None


_ARGUMENTS = "Tensor image, Tensor target, Tensor? mask, int radius, float contrast"
_backward = register(
    f"census_distance_backward(Tensor grad, {_ARGUMENTS}, bool needs_target) -> (Tensor, Tensor)",
    _backward_kernel,
    lambda grad, image, target, mask, radius, contrast, needs: _empty_gradients(
        image, target, needs
    ),
)
_forward = register(
    f"census_distance({_ARGUMENTS}) -> Tensor",
    _forward_kernel,
    lambda image, *_: torch.empty_like(image),
    _autograd,
    _setup,
)
