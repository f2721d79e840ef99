"""Coefficients against labels: as numbers, and as the shapes that they make."""

from __future__ import annotations

import torch
from torch import Tensor

from .reduction import weighted_mean


def coefficient_loss(predicted: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean squared error of coefficients ``(..., P)`` with weights ``(...)``."""
    weights = None if weights is None else weights[..., None]
    return weighted_mean((predicted - target).square(), weights)


def shape_gram(basis: Tensor, vertex_weights: Tensor | None = None) -> Tensor:
    """Gram matrix ``(P, P)`` of a basis ``(P, V, 3)``: coefficients to mean squared mm.

    ``d @ gram @ d`` is the mean squared vertex distance of two shapes whose coefficients differ by
    ``d``, at a cost that does not depend on V. Compute it once per model.

    Args:
        basis: mm per unit of a coefficient.
        vertex_weights: ``(V,)``, for a part of the face; all equal when missing.
    """
    if vertex_weights is None:
        vertex_weights = basis.new_ones(basis.shape[1])
    weighted = basis * (vertex_weights / vertex_weights.sum())[:, None]
    return weighted.flatten(1) @ basis.flatten(1).T


def shape_loss(
    predicted: Tensor, target: Tensor, gram: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Mean over faces of the root mean square vertex distance in mm.

    Unlike :func:`coefficient_loss` it weighs each coefficient by what it moves (compare the
    weighted parameter distance cost of Zhu et al., 3DDFA, CVPR 2016).

    Args:
        predicted: ``(..., P)`` coefficients.
        target: ``(..., P)`` coefficients.
        gram: ``(P, P)`` of the basis that they multiply, from :func:`shape_gram`.
        weights: ``(...)`` of the faces.
    """
    return weighted_mean(root(quadratic(predicted - target, gram)), weights)


def quadratic(difference: Tensor, gram: Tensor) -> Tensor:
    """``d @ gram @ d`` ``(...)`` of differences ``(..., P)``; not negative."""
    return ((difference @ gram) * difference).sum(-1).clamp(min=0)


def root(squares: Tensor, epsilon: float = 1e-3) -> Tensor:
    """A square root that is 0 at 0 and has a finite slope there (Charbonnier et al. 1994)."""
    return torch.sqrt(squares + epsilon**2) - epsilon
