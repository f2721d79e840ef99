"""Distances of images that forgive what a face model does not explain."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pgnface.ops import census_distance

from .reduction import weighted_mean

# ITU-R BT.601 luma.
_GREY = (0.299, 0.587, 0.114)


def robust_penalty(residual: Tensor, alpha: float = 1.0, scale: float = 0.05) -> Tensor:
    """The general robust penalty by element (Barron, CVPR 2019, eq. 8).

    Args:
        residual: any shape.
        alpha: 2 squared, 1 Charbonnier, 0 Cauchy, -2 Geman-McClure, ``-math.inf`` Welsch: the
            smaller, the less an outlier counts.
        scale: residuals below it count quadratically.

    Returns:
        0 at 0, about ``(residual / scale)^2 / 2`` nearby.
    """
    square = (residual / scale).square()
    if alpha == 2:
        return square / 2
    if alpha == 0:
        return torch.log1p(square / 2)
    if alpha == -math.inf:
        return -torch.expm1(-square / 2)
    weight = abs(alpha - 2)
    return (weight / alpha) * ((square / weight + 1) ** (alpha / 2) - 1)


def robust_loss(
    image: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    alpha: float = 1.0,
    scale: float = 0.05,
) -> Tensor:
    """Mean :func:`robust_penalty` of colour differences.

    Args:
        image: ``(N, C, H, W)`` in [0, 1].
        target: as ``image``.
        mask: ``(N, H, W)`` weights or bool.
    """
    penalty = robust_penalty(image - target, alpha, scale)
    return weighted_mean(penalty, None if mask is None else mask[:, None])


def census_loss(
    image: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    radius: int = 2,
    contrast: float = 0.02,
) -> Tensor:
    """Soft Hamming distance of soft census transforms, in [0, 1).

    No change of brightness or gain alters it; see :func:`pgnface.ops.census_distance`.

    Args:
        image: ``(N, C, H, W)`` in [0, 1], grey or RGB.
        target: as ``image``.
        mask: ``(N, H, W)``; a pixel counts when its whole window is in the mask.
        radius: the window has side ``2 * radius + 1``.
        contrast: differences of intensity well below it count as equal. UnFlow's value is 0.0035;
            a larger one forgives the noise of video frames.

    Raises:
        ValueError: for an image of neither 1 nor 3 channels.
    """
    weights = census_mask(image, mask, radius)
    distance = census_distance(
        _grey(image), _grey(target), weights, radius=radius, contrast=contrast
    )
    return weighted_mean(distance, weights)


def census_mask(image: Tensor, mask: Tensor | None, radius: int) -> Tensor:
    """Weights ``(N, H, W)``: 1 where the window around a pixel lies in image and mask."""
    if mask is None:
        mask = image.new_ones(image.shape[0], *image.shape[2:])
    outside = F.pad(1 - (mask > 0).to(image.dtype), [radius] * 4, value=1.0)
    return 1 - F.max_pool2d(outside[:, None], 2 * radius + 1, stride=1)[:, 0]


def _grey(image: Tensor) -> Tensor:
    """``(N, H, W)`` of grey or RGB images."""
    if image.shape[1] == 1:
        return image[:, 0]
    if image.shape[1] != len(_GREY):
        raise ValueError(
            f"an image of 1 (grey) or 3 (RGB) channels is expected, got {tuple(image.shape)}"
        )
    return sum(w * channel for w, channel in zip(_GREY, image.unbind(1), strict=True))
