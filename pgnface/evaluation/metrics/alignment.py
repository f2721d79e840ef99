"""Similarities and rigid motions between corresponding points in three dimensions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from .surface import check_points


class Alignment(NamedTuple):
    """``target ~ scale * rotation @ source + translation``.

    Attributes:
        scale: 1 for a rigid motion.
        rotation: ``(3, 3)`` with determinant +1.
        translation: ``(3,)``.
    """

    scale: float
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    def apply(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points ``(..., 3)`` of the source's frame in the target's."""
        return self.scale * np.asarray(points, np.float64) @ self.rotation.T + self.translation

    def after(self, first: Alignment) -> Alignment:
        """The alignment that applies ``first`` and then this one."""
        return Alignment(
            self.scale * first.scale,
            self.rotation @ first.rotation,
            self.apply(first.translation),
        )

    def inverse(self) -> Alignment:
        """The alignment from the target's frame to the source's."""
        rotation, scale = self.rotation.T, 1 / self.scale
        return Alignment(scale, rotation, -scale * rotation @ self.translation)


#: Leaves points where they are.
IDENTITY = Alignment(1.0, np.eye(3), np.zeros(3))


def align_points(
    source: ArrayLike,
    target: ArrayLike,
    *,
    scale: bool = False,
    weights: ArrayLike | None = None,
) -> Alignment:
    """The least-squares alignment of corresponding points (Umeyama, PAMI 1991).

    Args:
        source, target: ``(K, 3)``.
        scale: find a similarity rather than a rigid motion.
        weights: ``(K,)``, ones by default.

    Raises:
        ValueError: for other shapes, values that are not finite, fewer than three points, or
            weights that leave nothing.
    """
    from pgnface.ops import solve_pose

    source, target = check_points("source", source), check_points("target", target)
    if source.shape != target.shape or len(source) < 3:
        raise ValueError(
            "source and target must have one shape (K, 3) with K at least 3, got "
            f"{source.shape} and {target.shape}"
        )
    weight = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    if weight.shape != (len(source),) or not (np.isfinite(weight).all() and weight.sum() > 0):
        raise ValueError(
            f"weights must be {len(source)} finite numbers, some of them positive, got shape "
            f"{weight.shape}"
        )
    source_mean, target_mean = (
        np.average(points, axis=0, weights=weight) for points in (source, target)
    )
    fit = solve_pose(
        torch.from_numpy(source - source_mean)[None],
        torch.from_numpy(target - target_mean)[None],
        torch.from_numpy(weight)[None],
    )
    size, rotation = float(fit.scale[0]) if scale else 1.0, fit.rotation[0].numpy()
    return Alignment(size, rotation, target_mean - size * rotation @ source_mean)


def align_along(
    source: NDArray[np.float64],
    target: NDArray[np.float64],
    directions: NDArray[np.float64],
    *,
    scale: bool = False,
) -> Alignment:
    """A Gauss-Newton step from the identity that minimises the distances of pairs of points along
    given directions, ``sum (n . (target - aligned source))^2``.

    Args:
        source, target, directions: ``(N, 3)``, the directions of unit length.
        scale: a similarity rather than a rigid motion.
    """
    centre = source.mean(0)
    arms = source - centre
    size = np.sqrt((arms**2).sum(1).mean())
    # Arms in units of their size, so that turns and shifts are of one magnitude.
    columns = [np.cross(arms / size, directions), directions]
    if scale:
        columns.append(((arms / size) * directions).sum(1, keepdims=True))
    gap = ((target - source) * directions).sum(1)
    solution = np.linalg.lstsq(np.hstack(columns), gap, rcond=1e-10)[0]
    rotation = Rotation.from_rotvec(solution[:3] / size).as_matrix()
    factor = float(np.exp(solution[6] / size)) if scale else 1.0
    return Alignment(factor, rotation, centre + solution[3:6] - factor * rotation @ centre)
