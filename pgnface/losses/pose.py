"""Head pose against labels, for the regressed baseline and for calibrated annotations."""

from __future__ import annotations

from torch import Tensor

from .reduction import weighted_mean


def rotation_loss(predicted: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of ``1 - cos(angle)`` between rotations ``(..., 3, 3)``, with weights ``(...)``.

    As ``|A - B|^2 / 4``, which is smooth where the angle itself is not (Huynh 2009, metric 5).
    """
    return weighted_mean((predicted - target).square().sum((-1, -2)) / 4, weights)
