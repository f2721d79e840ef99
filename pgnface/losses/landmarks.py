"""Landmarks against labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .reduction import per_face, point_difference, weighted_mean

BETA = 0.004
"""Fraction of a face's size below which errors of points count quadratically: less than most errors
of a trained network, so that the mean distance is what falls, and not that of the worst points."""


def landmark_loss(
    predicted: Tensor,
    target: Tensor,
    weights: Tensor,
    scale: Tensor | float,
    *,
    beta: float = BETA,
) -> Tensor:
    """Smooth L1 distance of landmarks (Girshick, Fast R-CNN, ICCV 2015), relative to a face's size.

    The absolute value is the robust choice for landmarks (Feng et al., Wing Loss, CVPR 2018); the
    quadratic part spares it the jitter around zero. Depth is compared relative to its weighted
    mean.

    Args:
        predicted: ``(..., K, 3)`` pixels.
        target: ``(..., K, 3)`` pixels.
        weights: ``(..., K, 3)`` per coordinate, 0 where the label is unknown.
        scale: ``(...)`` or a number: size of the face or of its crop in pixels, so that the loss
            does not depend on the resolution.
        beta: in units of ``scale``.
    """
    weights = weights.expand_as(predicted)
    difference = point_difference(predicted, target, weights)
    return weighted_mean(relative_distance(difference, scale, beta=beta), weights)


def box_size(points: Tensor, weights: Tensor, fallback: float) -> Tensor:
    """sqrt(width * height) ``(...)`` of the box around known points: what errors are reported in.

    Args:
        points: ``(..., K, 3)`` pixels.
        weights: ``(..., K, 3)``, 0 where a coordinate is unknown.
        fallback: pixels, for a face whose known points say nothing of its size: those whose box is
            less than a quarter as large.
    """
    known, points = weights[..., :2] > 0, points[..., :2]
    low = points.masked_fill(~known, float("inf")).amin(-2)
    high = points.masked_fill(~known, float("-inf")).amax(-2)
    size = (high - low).clamp(min=0).prod(-1).sqrt()
    return torch.where(size > fallback / 4, size, fallback)


def relative_distance(difference: Tensor, scale: Tensor | float, *, beta: float = BETA) -> Tensor:
    """Smooth L1 of differences ``(..., K, 3)`` in pixels over ``scale`` ``(...)``, by element."""
    relative = per_face(difference, scale)
    return F.smooth_l1_loss(relative, torch.zeros_like(relative), reduction="none", beta=beta)
