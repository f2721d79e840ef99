"""Agreement of the two descriptions of one face: the posed model and the position map."""

from __future__ import annotations

from torch import Tensor

from pgnface.morphable import UVAtlas

from .landmarks import BETA, relative_distance
from .reduction import per_face, weighted_mean


def landmark_agreement_loss(
    posed_landmarks: Tensor,
    landmarks: Tensor,
    scale: Tensor | float,
    weights: Tensor | None = None,
    *,
    beta: float = BETA,
) -> Tensor:
    """Smooth L1 distance of the posed model's landmarks and those of the position map.

    It needs no label: what is left after the closed-form pose is what the shape coefficients fail
    to explain. It has a trivial minimum (the map follows any shape), so use it beside labels.

    Args:
        posed_landmarks: ``(..., K, 3)`` pixels.
        landmarks: ``(..., K, 3)`` pixels.
        scale: ``(...)`` or a number: size of the face or of its crop in pixels.
        weights: ``(..., K)``; all equal when missing.
    """
    distance = relative_distance(posed_landmarks - landmarks, scale, beta=beta)
    return weighted_mean(distance, None if weights is None else weights[..., None])


def map_agreement_loss(
    vertices: Tensor, position_map: Tensor, atlas: UVAtlas, scale: Tensor | float
) -> Tensor:
    """L1 distance of the posed model baked into UV and the position map, over all of the face.

    Args:
        vertices: ``(N, V, 3)`` in image space.
        position_map: ``(N, 3, h, w)`` pixels.
        atlas: of the map's size.
        scale: ``(N,)`` or a number: size of the face or of its crop in pixels.
    """
    difference = (atlas.bake(vertices) - position_map).abs()
    return weighted_mean(per_face(difference, scale), atlas.mask)
