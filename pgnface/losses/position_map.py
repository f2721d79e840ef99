"""Position maps against dense labels."""

from __future__ import annotations

import torch
from torch import Tensor

from pgnface.morphable import UVAtlas

from .reduction import per_face, point_difference, weighted_mean

# iBUG points 17-67: brows, nose, eyes and mouth.
_FEATURES = slice(17, 68)
_FEATURE_RADIUS = 0.05


def position_map_weights(atlas: UVAtlas) -> Tensor:
    """Weights ``(h, w)`` of a map's pixels, after PRNet (Feng et al., ECCV 2018).

    The proportions are theirs, 16 at landmarks, 4 around brows, eyes, nose and mouth, 3 elsewhere
    on the face and 0 off it, with regions drawn around the model's own landmarks. Their mean over
    the face is 1.
    """
    size = atlas.mask.shape[-1]
    centres = (torch.arange(size, device=atlas.mask.device) + 0.5) / size
    uv = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1)
    features = atlas.landmark_uv[_FEATURES]
    near = torch.cdist(uv.flatten(0, 1), features).amin(1) < _FEATURE_RADIUS
    weights = torch.where(near.unflatten(0, (size, size)), 4.0, 3.0)
    column, row = (atlas.landmark_uv * size).long().clamp(0, size - 1).unbind(-1)
    weights[row, column] = 16.0
    weights = weights * atlas.mask
    return weights / weights.sum().clamp(min=1) * atlas.mask.sum()


def position_map_loss(
    predicted: Tensor,
    target: Tensor,
    weights: Tensor,
    scale: Tensor | float,
) -> Tensor:
    """Weighted L1 distance of UV position maps, relative to a face's size (after PRNet).

    Depth is compared relative to its weighted mean.

    Args:
        predicted: ``(N, 3, h, w)`` pixels.
        target: ``(N, 3, h, w)`` pixels, such as ``atlas.bake(vertices)``.
        weights: ``(h, w)``, or ``(N, h, w)`` with zeros for images without a dense label.
        scale: ``(N,)`` or a number: size of the face or of its crop in pixels.
    """
    points, labels = (m.flatten(2).transpose(1, 2) for m in (predicted, target))
    weights = weights.expand(len(predicted), *predicted.shape[2:]).flatten(1)[..., None]
    weights = weights.expand_as(points)
    difference = point_difference(points, labels, weights)
    return weighted_mean(per_face(difference.abs(), scale), weights)
