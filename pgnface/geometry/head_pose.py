"""Head pose in closed form from corresponding points."""

from __future__ import annotations

import torch
from torch import Tensor

from pgnface.ops import solve_pose

from .pose import Pose, flip_axes


def solve_head_pose(
    model_points: Tensor, image_points: Tensor, weights: Tensor | None = None
) -> Pose:
    """The pose that best maps points of a face model onto their places in an image.

    Minimises ``sum_k w_k |image_k - (scale * F @ rotation @ model_k + translation)|^2`` (see
    :class:`Pose`) in closed form, with gradients; degenerate points are handled as
    :func:`pgnface.ops.solve_pose` says.

    Args:
        model_points: ``(..., K, 3)`` model space (mm).
        image_points: ``(..., K, 3)`` image space (px, z into the scene).
        weights: ``(..., K)``, not negative; ones when left out.

    Leading dimensions broadcast.

    Returns:
        The pose, with the broadcast leading dimensions.

    Raises:
        ValueError: for shapes that do not fit together.
    """
    given = {"model_points": model_points, "image_points": image_points}
    for name, points in given.items():
        if points.dim() < 2 or points.shape[-1] != 3:
            raise ValueError(
                f"solve_head_pose: {name} must have shape (..., K, 3), got {tuple(points.shape)}"
            )
    shapes = [model_points.shape[:-1], image_points.shape[:-1]]
    if weights is not None:
        shapes.append(weights.shape)
    try:
        *leading, count = torch.broadcast_shapes(*shapes)
    except RuntimeError:
        raise ValueError(
            "solve_head_pose: model_points, image_points and weights must agree up to their "
            f"leading dimensions, got {[tuple(shape) for shape in shapes]} points"
        ) from None
    fit = solve_pose(
        model_points.expand(*leading, count, 3).reshape(-1, count, 3),
        image_points.expand(*leading, count, 3).reshape(-1, count, 3),
        None if weights is None else weights.expand(*leading, count).reshape(-1, count),
    )
    return Pose(
        fit.scale.reshape(leading),
        flip_axes(fit.rotation, dim=-2).reshape(*leading, 3, 3),
        fit.translation.reshape(*leading, 3),
    )
