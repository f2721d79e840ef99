"""The weighted mean that all losses end in."""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_mean(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Scalar mean of values, each with a weight >= 0 of a shape that broadcasts to theirs.

    Values of weight zero take no part, not even when they are not finite. If all weights are zero
    (or there are no values) the mean is 0, with zero gradients.
    """
    if weights is None:
        return values.sum() / max(values.numel(), 1)
    weights = weights.to(values.dtype).expand_as(values)
    total = (values.masked_fill(weights == 0, 0) * weights).sum()
    return total / weights.sum().clamp(min=1e-12)


def per_face(values: Tensor, size: Tensor | float) -> Tensor:
    """Values ``(..., *)`` over a size: a number, or one ``(...)`` for each face."""
    if isinstance(size, Tensor):
        size = size.clamp(min=1e-6).reshape(*size.shape, *[1] * (values.dim() - size.dim()))
    return values / size


def point_difference(predicted: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Predicted minus true points ``(..., K, 3)``, less the weighted mean of their z over K.

    Under weak perspective the distance of a face is open, so only relative depth can be compared.
    Coordinates of weight zero have difference 0, whatever their label holds.

    Args:
        predicted: ``(..., K, 3)``.
        target: ``(..., K, 3)``.
        weights: ``(..., K, 3)``.
    """
    difference = (predicted - target).masked_fill(weights == 0, 0)
    xy, z = difference[..., :2], difference[..., 2:]
    w = weights[..., 2:].to(z.dtype)
    offset = (z * w).sum(-2, keepdim=True) / w.sum(-2, keepdim=True).clamp(min=1e-12)
    return torch.cat((xy, (z - offset).masked_fill(w == 0, 0)), -1)
