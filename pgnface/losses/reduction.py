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


def remove_depth_offset(difference: Tensor, weights: Tensor) -> Tensor:
    """Differences of points ``(..., K, 3)`` less the weighted mean of their z over K.

    Under weak perspective the distance of a face is open, so only relative depth can be compared.

    Args:
        difference: predicted minus true points.
        weights: ``(..., K, 3)``, of which z is read.
    """
    xy, z = difference[..., :2], difference[..., 2:]
    w = weights[..., 2:].to(z.dtype).expand_as(z)
    offset = (z.masked_fill(w == 0, 0) * w).sum(-2, keepdim=True)
    offset = offset / w.sum(-2, keepdim=True).clamp(min=1e-12)
    return torch.cat((xy, z - offset), -1)
