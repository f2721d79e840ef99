"""Agreement between frames of one person, and between warped copies of one photo."""

from __future__ import annotations

import torch
from torch import Tensor

from pgnface.data.cropping import warp_points

from .coefficients import quadratic
from .landmarks import BETA, relative_distance
from .reduction import point_difference, weighted_mean


def identity_consistency_loss(
    identity: Tensor, gram: Tensor | None = None, weights: Tensor | None = None
) -> Tensor:
    """Variance of the identity over the frames of a person.

    Args:
        identity: ``(B, F, I)``.
        gram: ``(I, I)`` from :func:`~pgnface.losses.shape_gram`, for a variance of the shape in
            mm^2 rather than of the coefficients.
        weights: ``(B,)``.

    Returns:
        0 for F = 1.
    """
    difference = identity - identity.mean(1, keepdim=True)
    square = difference.square().mean(-1) if gram is None else quadratic(difference, gram)
    return weighted_mean(square, None if weights is None else weights[:, None])


def equivariance_loss(
    landmarks: Tensor,
    warp: Tensor,
    same_image: Tensor,
    size: Tensor | float,
    *,
    beta: float = BETA,
) -> Tensor:
    """Landmarks of warped copies of one photo must meet when they are mapped back to the photo.

    It needs no label (as in Thewlis et al., Unsupervised Learning of Object Landmarks by Factorized
    Spatial Embeddings, ICCV 2017).

    Args:
        landmarks: ``(B, F, K, 3)`` pixels of the crops.
        warp: ``(B, F, 2, 3)`` affine of crop pixels to photo pixels; depth is scaled as lengths
            are on average, and compared relative to its mean.
        same_image: ``(B,)`` bool: whose frames are copies of one photo.
        size: side of the crops in pixels, or ``(B, F)`` sizes of the faces in them.

    Returns:
        Mean smooth L1 distance to the mean over the copies, relative to the size; 0 for F = 1.
    """
    points = warp_points(warp, landmarks)
    everywhere = torch.ones_like(points)
    difference = point_difference(points, points.mean(1, keepdim=True), everywhere)
    determinant = torch.det(warp[..., :2].float()).to(landmarks.dtype)
    distance = relative_distance(difference, size * determinant.abs().sqrt(), beta=beta)
    return weighted_mean(distance, same_image[:, None, None, None])
