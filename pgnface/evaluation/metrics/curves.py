"""Cumulative error distributions."""

from __future__ import annotations

import torch
from numpy.typing import NDArray
from torch import Tensor


def cumulative_error(
    errors: Tensor | NDArray, limit: float = 10.0, steps: int = 200
) -> tuple[Tensor, Tensor]:
    """Cumulative error distribution: thresholds and the fraction of samples at or below each.

    Args:
        errors: ``(N,)``.
        limit: largest threshold, in the unit of the errors.
        steps: number of intervals.

    Returns:
        thresholds and fractions, both ``(steps + 1,)``. The mean of the fractions is the
        normalised area under the curve.
    """
    thresholds = torch.linspace(0, limit, steps + 1, dtype=torch.float64)
    ordered = torch.as_tensor(errors).double().cpu().sort().values
    count = torch.searchsorted(ordered, thresholds, right=True)
    return thresholds, count / max(len(ordered), 1)
