"""What is believed before an image is seen."""

from __future__ import annotations

from torch import Tensor

from .reduction import weighted_mean


def coefficient_prior(coefficients: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean square of coefficients ``(..., P)``: the negative log of a model's normal prior.

    (Blanz and Vetter, A Morphable Model for the Synthesis of 3D Faces, SIGGRAPH 1999, eq. 7.)

    Args:
        coefficients: in standard deviations.
        weights: ``(...)``.
    """
    return weighted_mean(coefficients.square(), None if weights is None else weights[..., None])


def offset_prior(offsets: Tensor) -> Tensor:
    """Mean squared length in mm of landmark offsets ``(K, 3)``."""
    return weighted_mean(offsets.square().sum(-1))
