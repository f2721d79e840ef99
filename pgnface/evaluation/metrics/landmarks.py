"""Normalised mean errors of points in an image.

Zhu et al., *Face Alignment Across Large Poses* (CVPR 2016), and the evaluation code of 3DDFA; the
dense errors as PRNet (Feng et al., ECCV 2018) and its successors have them.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ._points import require_pair, require_points


def sparse_nme(
    predicted: Tensor, true: Tensor, normaliser: Literal["box", "interocular"] = "box"
) -> Tensor:
    """Normalised mean error of landmarks, ``(N,)`` in percent.

    Args:
        predicted, true: ``(N, K, 2)``, or ``(N, K, 3)`` in image space. In three dimensions the
            mean of z is removed from both, because depth under weak perspective is known up to a
            constant only.
        normaliser: ``"box"``: sqrt(width * height) of the true landmarks' tight 2D box (the
            AFLW2000-3D protocol); ``"interocular"``: 2D distance of the outer eye corners
            (landmarks 36 and 45; 68 points).

    Raises:
        ValueError: when the shapes differ or are not those above, or for an unknown normaliser.
    """
    require_pair(predicted, true, (2, 3))
    if normaliser == "box":
        size = box_size(true)
    elif normaliser == "interocular":
        size = (true[:, 36, :2] - true[:, 45, :2]).norm(dim=-1)
    else:
        raise ValueError(f"normaliser must be 'box' or 'interocular', got {normaliser!r}")
    return _mean_distance(_remove_mean_depth(predicted - true), size)


def dense_nme(
    predicted: Tensor,
    true: Tensor,
    variant: Literal["mean_z", "min_z"] = "mean_z",
    landmarks: Tensor | None = None,
) -> Tensor:
    """Normalised mean error of all vertices, ``(N,)`` in percent, as two groups of papers have it.

    Args:
        predicted, true: vertices in correspondence, ``(N, V, 2)`` or ``(N, V, 3)`` in image space.
        variant: ``"mean_z"``: the mean of z is removed from both, and the error is divided by
            sqrt(width * height) of the true vertices' box; ``"min_z"``: z is counted in both from
            the vertex furthest from the viewer, and the box is that of the true landmarks.
        landmarks: ``(N, K, 2 or 3)`` true landmarks, for ``"min_z"``.

    In two dimensions the variants differ by the box alone.

    Raises:
        ValueError: for wrong shapes, an unknown variant, or ``"min_z"`` without landmarks.
    """
    require_pair(predicted, true, (2, 3))
    if variant == "mean_z":
        return _mean_distance(_remove_mean_depth(predicted - true), box_size(true))
    if variant != "min_z":
        raise ValueError(f"variant must be 'mean_z' or 'min_z', got {variant!r}")
    if landmarks is None:
        raise ValueError("the variant 'min_z' needs the true landmarks for its box")
    require_points("landmarks", landmarks, (2, 3))
    difference = predicted - true
    if difference.shape[-1] == 3:
        # The published code has z to the viewer and subtracts its minimum: our largest z.
        offset = predicted[..., 2].amax(1) - true[..., 2].amax(1)
        difference = torch.cat(
            (difference[..., :2], difference[..., 2:] - offset[:, None, None]), -1
        )
    return _mean_distance(difference, box_size(landmarks))


def box_size(points: Tensor) -> Tensor:
    """sqrt(width * height) ``(N,)`` of the tight 2D boxes of points ``(N, K, 2 or 3)``."""
    return (points[..., :2].amax(1) - points[..., :2].amin(1)).prod(-1).sqrt()


def _remove_mean_depth(difference: Tensor) -> Tensor:
    if difference.shape[-1] == 2:
        return difference
    z = difference[..., 2:]
    return torch.cat((difference[..., :2], z - z.mean(1, keepdim=True)), -1)


def _mean_distance(difference: Tensor, size: Tensor) -> Tensor:
    return 100 * difference.norm(dim=-1).mean(-1) / size
