"""What several metrics ask of their arguments."""

from __future__ import annotations

from torch import Tensor


def require_points(name: str, points: Tensor, dims: tuple[int, ...]) -> None:
    """Raise ValueError unless points have the shape ``(N, K, d)`` with d of ``dims``."""
    if points.dim() != 3 or points.shape[-1] not in dims:
        allowed = " or ".join(f"(N, K, {d})" for d in dims)
        raise ValueError(f"{name} must have shape {allowed}, got {tuple(points.shape)}")


def require_pair(predicted: Tensor, true: Tensor, dims: tuple[int, ...]) -> None:
    """Raise ValueError unless both have one shape ``(N, K, d)`` with d of ``dims``."""
    require_points("predicted", predicted, dims)
    if predicted.shape != true.shape:
        raise ValueError(
            f"predicted and true must have one shape, got {tuple(predicted.shape)} and "
            f"{tuple(true.shape)}"
        )
