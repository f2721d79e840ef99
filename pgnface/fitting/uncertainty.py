"""What an uncertain fit means at each vertex, in mm."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pgnface.morphable import MorphableModel


def vertex_covariance(
    model: MorphableModel, covariance: Tensor, *, residual_std: float = 0.0
) -> Tensor:
    """Covariances ``(N, V, 3, 3)`` mm^2 of the vertices in model space.

    ``B_v S B_v^T + residual_std^2 I``, with the modes B_v ``(3, P)`` of vertex v.

    Args:
        model: that was fitted.
        covariance: S, ``(N, P, P)`` of the coefficients.
        residual_std: mm per coordinate that the model's modes leave out.
    """
    basis = model.basis.to(covariance.dtype)
    # By faces: the spread of every vertex by every unknown is as large as the model.
    spread = [torch.einsum("pvc,pq->vcq", basis, factor) for factor in _factor(covariance)]
    own = residual_std**2 * torch.eye(3, dtype=basis.dtype, device=basis.device)
    return torch.stack([part @ part.transpose(1, 2) + own for part in spread])


def confidence_radius(covariance: Tensor, confidence: float = 0.95) -> Tensor:
    """Radii ``(...)`` of the balls that hold normal errors of these covariances ``(..., 3, 3)``
    with a probability.

    The squared error is a sum of chi-squares, taken as one multiple of a chi-square that has the
    same mean and variance (Welch 1938, Satterthwaite 1946), of which Wilson and Hilferty's (1931)
    quantile is used: within 2 % of the true radius for probabilities from 0.9 to 0.99.

    Raises:
        ValueError: for a probability outside (0, 1) or another shape.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if covariance.shape[-2:] != (3, 3):
        raise ValueError(f"covariance must have shape (..., 3, 3), got {tuple(covariance.shape)}")
    first = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    second = covariance.square().sum((-2, -1)).clamp(min=torch.finfo(covariance.dtype).tiny)
    freedom = (first.square() / second).clamp(1, 3)
    deviate = math.sqrt(2) * torch.special.erfinv(first.new_tensor(2 * confidence - 1))
    part = 2 / (9 * freedom)
    return (first * (1 - part + deviate * part.sqrt()) ** 3).clamp(min=0).sqrt()


def _factor(covariance: Tensor) -> Tensor:
    """L with ``L L^T`` the covariance, however rounding has left it."""
    diagonal = covariance.diagonal(dim1=-2, dim2=-1)
    jitter = torch.finfo(covariance.dtype).eps * diagonal.amax(-1, keepdim=True)
    return torch.linalg.cholesky(covariance + torch.diag_embed(jitter.expand_as(diagonal)))
