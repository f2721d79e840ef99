"""Errors of shapes in correspondence."""

from __future__ import annotations

from torch import Tensor

from ._points import require_pair


def shape_error(predicted: Tensor, true: Tensor, scale: bool = False) -> Tensor:
    """Mean vertex distance ``(N,)`` of shapes after the best rigid alignment, in their units (mm).

    Args and errors: as :func:`vertex_errors`.
    """
    return vertex_errors(predicted, true, scale).mean(-1)


def vertex_errors(predicted: Tensor, true: Tensor, scale: bool = False) -> Tensor:
    """Vertex distances ``(N, V)`` of shapes after the best rigid alignment, in their units (mm).

    Args:
        predicted, true: model-space vertices ``(N, V, 3)`` in correspondence.
        scale: align by a similarity instead, for methods without metric scale.

    Raises:
        ValueError: for wrong or different shapes.
    """
    from pgnface.ops import solve_pose

    require_pair(predicted, true, (3,))
    source_mean, true_mean = predicted.mean(1, keepdim=True), true.mean(1, keepdim=True)
    source, aligned_to = predicted - source_mean, true - true_mean
    fit = solve_pose(source, aligned_to)
    aligned = source @ fit.rotation.transpose(-1, -2)
    if scale:
        aligned = aligned * fit.scale[:, None, None]
    return (aligned - aligned_to).norm(dim=-1)
